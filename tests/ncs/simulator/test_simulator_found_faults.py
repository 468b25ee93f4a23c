"""Compiler faults that the simulator found, and their workarounds."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.layer_nets import net_of

import caffe
from caffe.convert.onnx_export import export_net
from ncs.myriad import known_faults
from ncs.myriad.compiler import Job, compile_blobs, plugin_settings
from ncs.simulator import Simulator

INPUT = (
    'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: 1 dim: {} dim: {} dim: {} }} }} }}'
)


def net_and_blob_outputs(folder, text, chip="MA2480"):
    """Return the outputs of our Net and of its simulated blob, for a net with one output."""
    caffe.set_random_seed(3)
    net = net_of(text, caffe.TEST)
    image = np.random.RandomState(3).standard_normal(net.blobs["data"].shape).astype(np.float32)
    net.blobs["data"].data[...] = image
    net.forward()
    export_net(net, folder / "net.onnx")
    compile_blobs([Job(str(folder / "net.onnx"), str(folder / "net.blob"), chip)])
    simulator = Simulator.from_file(folder / "net.blob")
    result = next(iter(simulator.run({"data": image}).values()))
    assert simulator.findings() == []
    return np.array(net.blobs[net.outputs[0]].data), result


CASES = {
    "dilated deconvolution": (
        "MA2480",
        INPUT.format(2, 3, 4)
        + 'layer { name: "d" type: "Deconvolution" bottom: "data" top: "d" convolution_param { num_output: 4 group: 2 '
        'kernel_h: 3 kernel_w: 2 stride: 2 dilation: 2 weight_filler { type: "gaussian" std: 1 } } }',
    ),
    "ReLU after a deconvolution with groups": (
        "MA2480",
        INPUT.format(8, 6, 6)
        + 'layer { name: "d" type: "Deconvolution" bottom: "data" top: "d" convolution_param { num_output: 8 group: 8 '
        'kernel_size: 5 stride: 2 weight_filler { type: "gaussian" std: 1 } } }'
        'layer { name: "r" type: "ReLU" bottom: "d" top: "r" }',
    ),
    "ReLU after a deconvolution with a large kernel": (
        "MA2480",
        INPUT.format(2, 3, 3)
        + 'layer { name: "d" type: "Deconvolution" bottom: "data" top: "d" convolution_param { num_output: 2 '
        'kernel_size: 16 stride: 8 weight_filler { type: "gaussian" std: 1 } } }'
        'layer { name: "r" type: "ReLU" bottom: "d" top: "r" }',
    ),
    "average pooling padded on one side": (
        "MA2480",
        INPUT.format(4, 5, 5) + 'layer { name: "p" type: "Pooling" bottom: "data" top: "p" '
        "pooling_param { pool: AVE kernel_size: 3 stride: 3 } }",
    ),
    "divisor of average pooling at the border": (
        "MA2450",
        INPUT.format(3, 6, 8)
        + 'layer { name: "p" type: "Pooling" bottom: "data" top: "p" pooling_param { pool: AVE kernel_h: 3 kernel_w: 2 '
        "stride_h: 2 stride_w: 3 } }",
    ),
    "bias over several axes": (
        "MA2450",
        INPUT.format(3, 4, 5)
        + 'layer { name: "b" type: "Bias" bottom: "data" top: "b" bias_param { axis: 2 num_axes: -1 '
        'filler { type: "gaussian" std: 1 } } }',
    ),
    "leaky ReLU with a slope outside 0 to 1": (
        "MA2480",
        INPUT.format(3, 4, 5)
        + 'layer { name: "r" type: "ReLU" bottom: "data" top: "r" relu_param { negative_slope: -1.5 } }',
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_blob_equals_net(compiler, tmp_path, name):
    chip, text = CASES[name]
    expected, result = net_and_blob_outputs(tmp_path, text, chip)
    assert expected.shape == result.shape
    assert np.abs(expected - result).max() < 4e-3 * max(1, np.abs(expected).max())


def save_onnx(folder, nodes, constants, shape, output):
    """Write an ONNX net without our workarounds and return its path."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, output)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    path = str(folder / "net.onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6), path)
    return path


def compile_without_workarounds(path, monkeypatch):
    """Return the blob that is compiled without the settings of known_faults."""
    with monkeypatch.context() as context:
        context.setattr(known_faults, "on_shaves", lambda graph: [])
        compile_blobs([Job(path, path + ".blob")])
    with open(path + ".blob", "rb") as stream:
        return stream.read()


def average_pooling_onnx(folder, pads, include, stride=3, size=5, output=2):
    node = helper.make_node(
        "AveragePool",
        ["data"],
        ["out"],
        kernel_shape=[3, 3],
        strides=[stride] * 2,
        pads=pads,
        count_include_pad=include,
    )
    return save_onnx(folder, [node], {}, [1, 4, size, size], [1, 4, output, output])


@pytest.mark.parametrize(
    "nets",
    [
        [([1, 1, 0, 0], 1, 3, 5, 2), ([0, 0, 1, 1], 1, 3, 5, 2)],  # padded at the top left or the bottom right
        [([1, 1, 1, 1], 0, 1, 6, 6), ([1, 1, 1, 1], 1, 1, 6, 6)],  # padding excluded or included
    ],
)
def test_different_nets_compile_to_the_same_blob(compiler, tmp_path, monkeypatch, nets):
    """Padded averages must not run on the engines: the blob can equal at most one of the two nets."""
    blobs = {compile_without_workarounds(average_pooling_onnx(tmp_path, *net), monkeypatch) for net in nets}
    assert len(blobs) == 1
    simulator = Simulator(blobs.pop())
    simulator.run({"data": np.zeros((1, 4, nets[0][3], nets[0][3]), np.float32)})
    assert "the blob does not encode the padded edges" in simulator.findings()[0]


def test_workaround_applies_to_external_onnx_files(compiler, tmp_path):
    path = average_pooling_onnx(tmp_path, [0, 0, 1, 1], 0)
    assert plugin_settings(Job(path, "x.blob"))[known_faults.BLACK_LIST] == "out"
    compile_blobs([Job(path, path + ".blob")])
    image = np.random.RandomState(1).standard_normal((1, 4, 5, 5)).astype(np.float32)
    simulator = Simulator.from_file(path + ".blob")
    result = simulator.run({"data": image})["out"]
    for y, x in ((0, 0), (0, 1), (1, 0), (1, 1)):
        expected = image[0, :, 3 * y : 3 * y + 3, 3 * x : 3 * x + 3].mean((1, 2))
        assert np.abs(result[0, :, y, x] - expected).max() < 2e-3


def test_warning_about_dropped_relu(compiler, tmp_path, monkeypatch):
    """The blob of this file really outputs negative values."""
    nodes = [
        helper.make_node("ConvTranspose", ["data", "w"], ["d"], kernel_shape=[2, 2], strides=[2, 2], group=4),
        helper.make_node("Relu", ["d"], ["out"]),
    ]
    weights = np.random.RandomState(1).standard_normal((4, 1, 2, 2)).astype(np.float32)
    path = save_onnx(tmp_path, nodes, {"w": weights}, [1, 4, 3, 3], [1, 4, 6, 6])
    assert "drops a Relu after a ConvTranspose with groups" in known_faults.warnings(list(known_faults.nodes(path)))[0]
    image = np.random.RandomState(2).standard_normal((1, 4, 3, 3)).astype(np.float32)
    assert Simulator(compile_without_workarounds(path, monkeypatch)).run({"data": image})["out"].min() < -0.1
