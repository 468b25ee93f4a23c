"""ONNX files come in: our own exports go round, ONNX Runtime says what they mean; foreign operators are refused by name."""

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from agegender import zoo
from agegender.errors import AgeGenderError
from agegender.zoo import build, onnx_weights
from caffe.net import Net
from caffe.proto import caffe_pb2
from ncs.onnx import export_net

torch.set_num_threads(1)


def randomized(net, seed=0):
    """The deploy Net with small random weights, statistics of normalisations positive."""
    built, rng = build.deploy_net(net), np.random.default_rng(seed)
    for name, blobs in built.params.items():
        for index, blob in enumerate(blobs):
            fan_in = max(1, blob.count // blob.shape[0])
            values = rng.normal(0, fan_in**-0.5 if fan_in > 1 else 0.1, tuple(blob.shape))
            blob.data[...] = 1 if name.startswith("bn_") and index == 2 else abs(values) + 0.5 if "bn_" in name else values
    return built


def by_onnxruntime(path, x):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def by_caffe(prototxt, caffemodel, x):
    net = Net(prototxt, caffe_pb2.TEST, weights=caffemodel)
    net.blobs[net.inputs[0]].data[...] = x
    net.forward()
    return np.array(net.blobs[net.outputs[0]].data)


@pytest.mark.parametrize(
    "name", ["googlenet-gender", "wideresnet-gender", "zealerww-selu", "zealerww-leaky", "zealerww-resnet"]
)
def test_there_and_back(name, tmp_path):
    net = zoo.nets()[name]
    export_net(randomized(net), str(tmp_path / "net.onnx"))
    prototxt, caffemodel = onnx_weights.write(tmp_path / "net.onnx", str(tmp_path / "net.caffemodel"))
    x = np.random.default_rng(1).uniform(0, 1, (1, *net.shape)).astype(np.float32)
    wanted = by_onnxruntime(tmp_path / "net.onnx", x)
    assert wanted.shape == (1, len(net.labels))
    np.testing.assert_allclose(by_caffe(prototxt, caffemodel, x), wanted, rtol=1e-3, atol=1e-6)


def test_weights_of_a_zoo_file_go_to_our_layers(tmp_path):
    net = zoo.nets()["googlenet-gender"]
    built = randomized(net)
    export_net(built, str(tmp_path / "net.onnx"))
    model = onnx.load(str(tmp_path / "net.onnx"))
    for node in model.graph.node:
        node.doc_string = ""  # foreign converters note no layer names
    onnx.save(model, str(tmp_path / "foreign.onnx"))
    for file in ("net.onnx", "foreign.onnx"):
        found = onnx_weights.layers_of(tmp_path / file, net)
        for layer, blobs in built.params.items():
            for blob, array in zip(blobs, found[layer]):
                np.testing.assert_array_equal(blob.data, array.reshape(tuple(blob.shape)))
    with pytest.raises(AgeGenderError, match="layers with weights"):
        onnx_weights.layers_of(tmp_path / "net.onnx", zoo.nets()["levi-age"])


def model_of(path, nodes, constants, shape=(1, 3, 8, 8), output=(1, 4)):
    values = [helper.make_tensor_value_info(name, 1, dims) for name, dims in (("x", shape), ("y", output))]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [numpy_helper.from_array(a, n) for n, a in constants.items()])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6), str(path))


def test_other_spellings(tmp_path):
    """What other exporters write: MatMul with Add, constants of (1, C, 1, 1), Dropout, Flatten, numbers."""
    rng = np.random.default_rng(3)
    make, f4 = helper.make_node, np.float32
    nodes = [
        make("Mul", ["x", "scale"], ["a"]), make("Add", ["bias", "a"], ["b"]), make("Mul", ["b", "number"], ["c"]),
        make("AveragePool", ["c"], ["d"], kernel_shape=[3, 3], strides=[2, 2]), make("Dropout", ["d"], ["e"]),
        make("Flatten", ["e"], ["f"]), make("MatMul", ["f", "w"], ["g"]), make("Add", ["g", "v"], ["h"]),
        make("Softmax", ["h"], ["y"], axis=1),
    ]  # fmt: skip
    constants = {"scale": rng.normal(size=(1, 3, 1, 1)).astype(f4), "bias": rng.normal(size=(3, 1, 1)).astype(f4),
                 "number": np.array(0.5, f4),
                 "w": rng.normal(size=(27, 4)).astype(f4), "v": rng.normal(size=4).astype(f4)}  # fmt: skip
    model_of(tmp_path / "m.onnx", nodes, constants)
    x = rng.normal(size=(1, 3, 8, 8)).astype(f4)
    files = onnx_weights.write(tmp_path / "m.onnx", str(tmp_path / "m.caffemodel"))
    np.testing.assert_allclose(by_caffe(*files, x), by_onnxruntime(tmp_path / "m.onnx", x), rtol=1e-5, atol=1e-6)


def test_what_caffe_cannot_say_is_told_at_once(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], pads=[0, 0, 1, 1], name="lopsided"),
        helper.make_node("Erf", ["a"], ["b"], name="strange"),
        helper.make_node("GlobalAveragePool", ["b"], ["y"]),
    ]
    model_of(tmp_path / "m.onnx", nodes, {"w": np.zeros((4, 3, 2, 2), np.float32)}, output=(1, 4, 1, 1))
    with pytest.raises(AgeGenderError, match=r"(?s)lopsided.*pads \[0, 0, 1, 1\].*strange.*no such operator"):
        onnx_weights.write(tmp_path / "m.onnx", str(tmp_path / "m.caffemodel"))
    (tmp_path / "no.onnx").write_bytes(b"\x00nothing")
    with pytest.raises(AgeGenderError, match="not an ONNX model"):
        onnx_weights.write(tmp_path / "no.onnx", str(tmp_path / "m.caffemodel"))
