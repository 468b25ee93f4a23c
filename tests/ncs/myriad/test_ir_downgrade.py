"""IR v11 converted to v10: OpenVINO 2021.4.2 computes the same from it as the current version from the original."""

import numpy as np
import openvino
import pytest
from openvino import opset8, opset11, opset12, opset13
from support import caffe_nets, older_python

from ncs.cli import main
from ncs.errors import NcsError
from ncs.myriad.blob import read_blob
from ncs.myriad.ir_downgrade import downgrade


def parameter():
    return opset8.parameter([1, 3, 8, 8], np.float32)


def numbers(*values):
    return opset8.constant(np.array(values, np.int64))


OPERATIONS = {
    "MaxPool": lambda x: opset8.max_pool(x, [2, 2], [1, 1], [0, 0], [1, 1], [3, 3]).output(0),
    "Softmax": lambda x: opset8.softmax(x, -2),
    "Slice": lambda x: opset8.slice(x, numbers(1, 7), numbers(9, 0), numbers(2, -3), numbers(2, 3)),
    "Slice of leading axes": lambda x: opset8.slice(x, numbers(0, 1), numbers(1, 3), numbers(1, 1)),
    "Gather": lambda x: opset8.gather(x, numbers(2, 0), numbers(1)),
    "TopK": lambda x: opset11.topk(x, opset8.constant(np.int64(3)), 3, "max", "value").output(0),
    "Interpolate": lambda x: opset11.interpolate(x, numbers(12, 12), "nearest", "sizes", axes=numbers(2, 3)),
    "Interpolate by scales": lambda x: opset11.interpolate(
        x, opset8.constant(np.float32([1.5, 2])), "linear_onnx", "scales", axes=numbers(2, 3)
    ),
    "Pad": lambda x: opset12.pad(x, numbers(0, 0, 1, 2), numbers(0, 0, 0, 1), "constant", np.float32(3)),
}


def save_operation(folder, name, build):
    model = openvino.Model([build(source := parameter())], [source], name)
    model.input(0).get_tensor().set_names({"data"})
    model.output(0).get_tensor().set_names({"output"})
    path = str(folder / (name.replace(" ", "_") + ".xml"))
    openvino.save_model(model, path, compress_to_fp16=False)
    return path


def test_openvino_2021_computes_the_same(tmp_path):
    python = older_python.environment(
        "openvino-2021.4.2-python3.8", ["3.8", "3.9"], ["openvino==2021.4.2", "numpy", "opencv-python-headless"]
    )
    image = np.random.default_rng(1).standard_normal((1, 3, 8, 8), np.float32)
    np.save(tmp_path / "x.npy", image)
    (tmp_path / "older").mkdir()
    expected, paths = {}, {}
    for name, build in OPERATIONS.items():
        path = save_operation(tmp_path, name, build)
        compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        expected[name], paths[name] = compiled(image)[0], downgrade(path, str(tmp_path / "older"))
    older_python.run(
        python,
        """if 1:
        import sys, numpy as np
        from openvino.inference_engine import IECore
        core, x = IECore(), np.load(sys.argv[1])
        for path in sys.argv[2:]:
            network = core.load_network(core.read_network(path), "CPU", {"ENFORCE_BF16": "NO"})
            (name, output), = network.infer({"data": x}).items()
            assert name == "output" or "TopK" in path, name  # TopK has two outputs
            np.save(path + ".npy", output)
        """,
        tmp_path / "x.npy",
        *paths.values(),
    )
    for name, output in expected.items():
        result = np.load(paths[name] + ".npy")
        assert result.shape == output.shape, name
        np.testing.assert_allclose(result, output, atol=1e-6, err_msg=name)


def test_blob_from_ir_equals_blob_from_onnx(compiler, tmp_path, monkeypatch):
    """The same stages and ports, with pooling, a slice, and a layer name that OpenVINO uses twice."""
    monkeypatch.chdir(tmp_path)
    text = (
        caffe_nets.TINY.split('layer { name: "fc"')[0]
        + """
layer { name: "pool" type: "Pooling" bottom: "conv2" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "cut" type: "Slice" bottom: "pool" top: "one" top: "two" slice_param { axis: 1 slice_point: 2 } }
layer { name: "sum" type: "Eltwise" bottom: "one" bottom: "more" top: "sum" }
layer { name: "fc" type: "InnerProduct" bottom: "sum" top: "fc" inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
""".replace('bottom: "more" top: "sum"', 'bottom: "half" top: "sum"').replace(
            'layer { name: "sum"',
            (
                'layer { name: "half" type: "Convolution" bottom: "two" top: "half" '
                'convolution_param { num_output: 2 kernel_size: 1 } }\nlayer { name: "sum"'
            ),
        )
    )
    prototxt, weights = caffe_nets.tiny(tmp_path, text)
    assert main(["compile", prototxt, "-w", weights, "-o", "a"]) == 0
    assert main(["compile", "a.xml", "-o", "b"]) == 0
    first, second = read_blob("a.blob"), read_blob("b.blob")
    assert first.counts() == second.counts() and first.inputs == second.inputs and first.outputs == second.outputs


def test_all_operations_without_an_older_version_are_listed(tmp_path):
    def newer(x):
        pooled = opset8.max_pool(x, [1, 1], [1, 1], [0, 0], [0, 0], [2, 2])
        dilated = opset8.max_pool(x, [1, 1], [2, 2], [0, 0], [0, 0], [2, 2])
        inverted = opset13.bitwise_not(opset8.convert(x, np.int32))
        parts = [opset8.convert(pooled.output(1), np.float32), dilated.output(0), opset8.convert(inverted, np.float32)]
        return opset8.concat([opset8.reshape(part, numbers(-1), False) for part in parts], 0)

    path = save_operation(tmp_path, "newer", newer)
    with pytest.raises(NcsError, match="3 operation.s. are newer than the Myriad compiler") as fault:
        downgrade(path, str(tmp_path))
    for message in (
        "the indices of the maxima are used",
        "does not support dilations",
        "BitwiseNot-13): it has no older version",
    ):
        assert message in str(fault.value)


@pytest.mark.parametrize("text", ["<net version='11'", "<net version='11'><layers/></net>"])
def test_not_an_ir(tmp_path, text):
    (tmp_path / "x.xml").write_text(text)
    (tmp_path / "x.bin").write_bytes(b"")
    with pytest.raises(NcsError, match="x.xml: not an IR"):
        downgrade(str(tmp_path / "x.xml"), str(tmp_path))
