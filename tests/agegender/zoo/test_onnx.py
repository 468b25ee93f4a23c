"""ONNX import: handmade graphs and our own exports agree with ONNX Runtime; unsupported operators are refused."""

import re

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from caffe.convert.onnx_import import importer
from caffe.errors import CaffeError
from caffe.net.net import Net
from caffe.proto import caffe_pb2

torch.set_num_threads(1)
node, f4, i8 = helper.make_node, np.float32, np.int64


def by_onnxruntime(path, x):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def by_caffe(prototxt, caffemodel, x):
    net = Net(prototxt, caffe_pb2.TEST, weights=caffemodel)
    net.blobs[net.inputs[0]].data[...] = x
    net.forward()
    return np.array(net.blobs[net.outputs[0]].data)


def save_model(path, nodes, constants, shape=(1, 3, 8, 8), opset=11):
    values = [helper.make_tensor_value_info("x", 1, shape), helper.make_tensor_value_info("y", 1, None)]
    graph = helper.make_graph(
        nodes, "g", values[:1], values[1:], [numpy_helper.from_array(a, n) for n, a in constants.items()]
    )
    ir_version = 6 if opset < 13 else 8
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    model = onnx.shape_inference.infer_shapes(model)
    output = model.graph.output[0].type.tensor_type
    if not output.HasField("shape"):  # ONNX requires the rank of the output
        output.shape.dim.add(dim_param="n")
        output.shape.dim.add(dim_param="m")
    onnx.save(model, str(path))


def check(folder, nodes, constants=(), shape=(1, 3, 8, 8), opset=11, min_std=0.05):
    """Assert that the imported graph agrees with ONNX Runtime on random input of both signs."""
    save_model(folder / "m.onnx", nodes, dict(constants), shape, opset)
    x = np.random.default_rng(3).normal(size=[n if isinstance(n, int) else 1 for n in shape]).astype(f4)
    files = importer.write(folder / "m.onnx", str(folder / "m.caffemodel"))
    expected = by_onnxruntime(folder / "m.onnx", x)
    assert np.std(expected) > min_std  # not a constant
    received = by_caffe(*files, x)
    assert received.shape == expected.shape
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)


def refusal(folder, nodes, constants=(), shape=(1, 3, 8, 8), opset=11):
    save_model(folder / "m.onnx", nodes, dict(constants), shape, opset)
    with pytest.raises(CaffeError) as caught:
        importer.write(folder / "m.onnx", str(folder / "m.caffemodel"))
    assert not (folder / "m.caffemodel").exists()
    return str(caught.value)


def weights(*shape):
    return {"w": np.random.default_rng(4).normal(0, 0.3, shape).astype(f4)}


@pytest.mark.parametrize(
    "attributes",
    [
        {"pads": [0, 0, 1, 1], "strides": [2, 2]},
        {"pads": [2, 0, 0, 1]},
        {"pads": [0, 2, 2, 0], "dilations": [2, 2]},
        {"auto_pad": "SAME_UPPER", "strides": [2, 2]},
        {"auto_pad": "SAME_LOWER", "strides": [2, 3]},
        {"auto_pad": "VALID"},
    ],
    ids=str,
)
def test_convolution_padding(attributes, tmp_path):
    check(tmp_path, [node("Conv", ["x", "w"], ["y"], **attributes)], weights(4, 3, 3, 3), (1, 3, 9, 8))
    check(tmp_path, [node("Conv", ["x", "w"], ["y"], group=3, **attributes)], weights(6, 1, 3, 2), (1, 3, 9, 8))


@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]},
        {"kernel_shape": [3, 3], "strides": [2, 2]},
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
        {"kernel_shape": [3, 2], "strides": [1, 1], "pads": [1, 1, 1, 0]},
        {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
        {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
        {"kernel_shape": [8, 8], "strides": [1, 1], "auto_pad": "SAME_UPPER"},
        {"kernel_shape": [4, 3], "strides": [1, 2], "auto_pad": "SAME_LOWER"},
    ],
    ids=str,
)
def test_pooling_windows(operator, attributes, tmp_path):
    for padding in ({}, {"count_include_pad": 1}) if operator == "AveragePool" else ({},):
        try:
            check(tmp_path, [node(operator, ["x"], ["y"], **attributes, **padding)], shape=(1, 2, 10, 9))
        except CaffeError as error:  # ONNX Runtime's versions disagree about these
            assert "ceil_mode beyond the padding" in str(error) and padding and "ceil_mode" in attributes


OTHERS = {
    "numbers": [node("Mul", ["x", "two"], ["a"]), node("Sub", ["a", "two"], ["b"]), node("Div", ["b", "two"], ["y"])],
    "a constant minus a tensor": [node("Sub", ["v3", "x"], ["y"])],
    "values per channel": [
        node("Mul", ["x", "v3"], ["a"]), node("Add", ["v3", "a"], ["b"]), node("Div", ["b", "v3"], ["y"])],
    "values per position": [node("Mul", ["x", "v88"], ["a"]), node("Add", ["a", "v388"], ["y"])],
    "tensors": [node("Relu", ["x"], ["a"]), node("Sub", ["x", "a"], ["b"]), node("Max", ["a", "b"], ["c"]),
                node("Sum", ["a", "b", "c"], ["d"]), node("Mul", ["d", "x"], ["y"])],
    "PRelu per channel": [node("PRelu", ["x", "v3"], ["y"])],
    "PRelu with one slope": [node("PRelu", ["x", "two"], ["y"])],
    "rectifiers": [
        node("LeakyRelu", ["x"], ["a"], alpha=0.3), node("Elu", ["a"], ["b"], alpha=0.5), node("Selu", ["b"], ["y"])],
    "Clip": [node("Clip", ["x", "low", "two"], ["a"]), node("Clip", ["a", "", "half"], ["y"])],
    "Clip from 0": [node("Sub", ["low", "low"], ["zero"]), node("Clip", ["x", "zero"], ["y"])],
    "squashing": [node("Sigmoid", ["x"], ["a"]), node("Tanh", ["x"], ["b"]), node("Add", ["a", "b"], ["y"])],
    "powers": [node("Abs", ["x"], ["a"]), node("Sqrt", ["a"], ["b"]), node("Pow", ["a", "two"], ["c"]),
               node("Add", ["b", "c"], ["d"]), node("Log", ["d"], ["e"]), node("Neg", ["e"], ["f"]),
               node("Exp", ["f"], ["y"])],
    "BatchNormalization": [node("BatchNormalization", ["x", "v", "v", "v", "v"], ["y"], epsilon=0.01)],
    "LRN": [node("LRN", ["x"], ["y"], size=3, alpha=0.7, beta=0.6, bias=2.0)],
    "MatMul and Add": [
        node("Flatten", ["x"], ["a"]), node("MatMul", ["a", "m"], ["b"]), node("Add", ["b", "v5"], ["y"])],
    "Gemm": [node("Flatten", ["x"], ["a"]), node("Gemm", ["a", "m", "v5"], ["y"], alpha=0.5, beta=2.0)],
    "Gemm and one number": [node("Flatten", ["x"], ["a"]), node("Gemm", ["a", "t", "two"], ["y"], transB=1)],
    "planes": [node("GlobalAveragePool", ["x"], ["a"]), node("GlobalMaxPool", ["x"], ["b"]),
               node("Concat", ["a", "b"], ["y"], axis=-3)],
    "ReduceMean": [node("ReduceMean", ["x"], ["y"], axes=[2, -1], keepdims=0)],
    "ReduceMax": [node("ReduceMax", ["x"], ["y"], axes=[2, 3])],
    "ConvTranspose": [node("ConvTranspose", ["x", "k"], ["y"], strides=[2, 1], pads=[1, 0, 1, 0], group=3)],
    "Split": [node("Split", ["x"], ["a", "b", "c"], axis=1), node("Concat", ["c", "a"], ["y"], axis=1)],
    "Slice": [node("Slice", ["x", "s14", "s58", "a23"], ["y"])],
    "Slice to a size": [
        node("MaxPool", ["x"], ["a"], kernel_shape=[5, 5]), node("Slice", ["x", "s14", "s58", "a23"], ["b"]),
        node("Add", ["a", "b"], ["y"])],
    "Slice of nothing": [node("Slice", ["x", "s00", "s99", "a23"], ["y"])],
    "Dropout last": [node("Relu", ["x"], ["a"]), node("Dropout", ["a"], ["b"]), node("Identity", ["b"], ["y"])],
    "Reshape": [node("Reshape", ["x", "s"], ["y"])],
    "Softmax": [node("GlobalMaxPool", ["x"], ["a"]), node("Softmax", ["a"], ["y"], axis=1)],
    "a reshape to a computed size": [
        node("Shape", ["x"], ["s0"]), node("Gather", ["s0", "i0"], ["n"]), node("Unsqueeze", ["n"], ["n1"], axes=[0]),
        node("Concat", ["n1", "rest"], ["s1"], axis=0), node("Reshape", ["x", "s1"], ["f"]),
        node("Gemm", ["f", "m", "v5"], ["y"])],
    "Transpose": [node("Transpose", ["x"], ["y"], perm=[0, 3, 1, 2])],
    "Transpose without perm": [node("Transpose", ["x"], ["y"])],
    "Gather of a range": [node("Gather", ["x", "i12"], ["y"], axis=1)],
    "Gather of several": [node("Gather", ["x", "i2021"], ["y"], axis=1)],
    "Gather of one": [node("Gather", ["x", "i0"], ["y"], axis=1)],
    "Resize to nearest": [node("Resize", ["x", "none", "up"], ["y"], mode="nearest", nearest_mode="floor",
                               coordinate_transformation_mode="asymmetric")],
    "Resize": [node("Resize", ["x", "none", "up3"], ["y"], mode="linear")],
    "Resize with corners": [node("Resize", ["x", "none", "none", "to"], ["y"], mode="linear",
                                 coordinate_transformation_mode="align_corners")],
    "Add with broadcasting": [node("GlobalMaxPool", ["x"], ["a"]), node("Add", ["a", "x"], ["y"])],
    "Sub with broadcasting": [node("GlobalMaxPool", ["x"], ["a"]), node("Sub", ["x", "a"], ["y"])],
    "Div with broadcasting": [
        node("Exp", ["x"], ["e"]), node("GlobalMaxPool", ["e"], ["a"]), node("Div", ["x", "a"], ["y"])],
    "Div": [node("Exp", ["x"], ["e"]), node("Div", ["x", "e"], ["y"])],
    "Mul with a constant of other axes": [node("Mul", ["x", "v318"], ["y"])],
    "Sub from a constant of other axes": [node("Sub", ["v318", "x"], ["y"])],
    "a folded constant": [
        node("Constant", [], ["p"], value=numpy_helper.from_array(np.full(3, 2, f4))), node("Mul", ["v", "p"], ["q"]),
        node("Unsqueeze", ["q"], ["r"], axes=[1, 2]), node("Mul", ["x", "r"], ["y"])],
}  # fmt: skip


def constants():
    rng = np.random.default_rng(5)
    sizes = {"v": 3, "v3": (3, 1, 1), "v88": (1, 1, 8, 8), "v388": (3, 8, 8), "v5": 5, "m": (192, 5), "t": (5, 192)}
    sizes["k"], sizes["v318"] = (3, 1, 3, 2), (3, 1, 8)
    values = {name: rng.uniform(0.2, 1, size).astype(f4) for name, size in sizes.items()}
    values.update(two=np.array(2, f4), low=np.array(-0.5, f4), half=np.array(0.5, f4), s=np.array([1, 6, -1, 4], i8))
    integers = {"s14": [1, -4], "s58": [5, 9], "a23": [2, 3], "s00": [0, 0], "s99": [9, 9]}
    values.update((name, np.array(pair, i8)) for name, pair in integers.items())
    values.update(up=np.array([1, 1, 2, 2], f4), up3=np.array([1, 1, 1.5, 3], f4), to=np.array([1, 3, 5, 11], i8))
    values.update(none=np.zeros(0, f4), i12=np.array([1, 2], i8), i2021=np.array([2, 0, 2, 1], i8))
    return {**values, "i0": np.array(0, i8), "rest": np.array([-1], i8)}


@pytest.mark.parametrize("case", OTHERS)
def test_other_operators(case, tmp_path):
    inputs = {name for node in OTHERS[case] for name in node.input}
    used = {name: array for name, array in constants().items() if name in inputs}
    check(tmp_path, OTHERS[case], used, min_std=0.01)


def test_newer_opsets_and_a_free_batch(tmp_path):
    nodes = [
        node("Softmax", ["x"], ["a"], axis=-1), node("Mul", ["a", "v3"], ["b"]), node("GlobalMaxPool", ["b"], ["c"]),
        node("Squeeze", ["c", "axes"], ["d"]), node("Softmax", ["d"], ["e"]), node("Unsqueeze", ["e", "axes"], ["y"]),
    ]  # fmt: skip
    check(
        tmp_path, nodes, {"axes": np.array([2, 3], i8), "v3": constants()["v3"]}, ("N", 3, 8, 8), opset=13, min_std=0.01
    )


@pytest.mark.parametrize(
    ("message", "nodes", "constants"),
    [
        (r"Erf 'strange': unsupported operator", [node("Erf", ["x"], ["y"], name="strange")], {}),
        ("pads .* with dilations", [node("Conv", ["x", "w"], ["y"], pads=[0, 0, 1, 0], dilations=[2, 2])],
         weights(4, 3, 2, 2)),
        ("expected a constant, 'x' is computed", [node("MatMul", ["w", "x"], ["y"])], weights(8, 8)),
        ("slopes of", [node("PRelu", ["x", "w"], ["y"])], weights(8)),
        ("expected a constant, 'b' is computed",
         [node("GlobalMaxPool", ["x"], ["a"]), node("Cast", ["a"], ["b"], to=7), node("Gather", ["x", "b"], ["y"])], {}),
        ("nearest from", [node("Resize", ["x", "n", "w"], ["y"], mode="nearest")],
         {"n": np.zeros(0, f4), "w": np.array([1, 1, 1.5, 2], f4)}),
        ("several axes: .* from axis 1 on", [node("Softmax", ["x"], ["y"])], {}),
        ("only both spatial axes", [node("ReduceMean", ["x"], ["y"], axes=[1])], {}),
        ("output_padding and output_shape are not supported",
         [node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2], output_padding=[1, 1])], weights(3, 1, 2, 2)),
        ("the indices of the maxima are used", [node("MaxPool", ["x"], ["a", "b"], kernel_shape=[2, 2]),
                                               node("Cast", ["b"], ["c"], to=1), node("Mul", ["a", "c"], ["y"])], {}),
        ("output 'y' is constant", [node("Mul", ["w", "w"], ["y"])], weights(3, 1, 8)),
    ],
)  # fmt: skip
def test_graphs_without_caffe_equivalent_are_refused(message, nodes, constants, tmp_path):
    assert re.search(message, refusal(tmp_path, nodes, constants))


def test_all_unsupported_operators_are_reported(tmp_path):
    nodes = [
        node("Erf", ["x"], ["a"], name="one"),
        node("Relu", ["a"], ["b"]),
        node("Hardmax", ["b"], ["y"], name="two"),
    ]
    message = refusal(tmp_path, nodes)
    assert (
        "Erf 'one'" in message
        and "Hardmax 'two'" in message
        and "Relu" not in message.replace("LeakyRelu", "").split("(")[0]
    )
    (tmp_path / "no.onnx").write_bytes(b"\x00nothing")
    with pytest.raises(CaffeError, match="not an ONNX model"):
        importer.write(tmp_path / "no.onnx", str(tmp_path / "m.caffemodel"))


REFUSED = set(
    [
        "ArgMax",
        "Atan",
        "BN",
        "BatchNorm",
        "BatchReindex",
        "BoxGroupOutput",
        "BoxOutput",
        "CTCGreedyDecoder",
        "Ceil",
        "ChannelNorm",
        "Convolution",
        "Convolution3D",
        "ConvolutionRistretto",
        "Correlation",
        "Correlation1D",
        "Deconvolution",
        "DeconvolutionRistretto",
        "DeformableConvolution",
        "DetectionOutput",
        "Eltwise",
        "Embed",
        "FcRistretto",
        "Filter",
        "FixedNeuron",
        "Floor",
        "FlowWarp",
        "HardSigmoid",
        "Im2col",
        "InnerDistance",
        "L2Normalize",
        "LogSoftmax",
        "Lstm",
        "MVN",
        "MaskResize",
        "Maximum",
        "Minimum",
        "Normalize",
        "PSROIPooling",
        "Pad",
        "Pooling",
        "Pooling3D",
        "Pow",
        "PriorBox",
        "PriorBoxClustered",
        "Proposal",
        "ROIAlign",
        "ROIPooling",
        "ROIWarping",
        "ReLU",
        "ReLU6",
        "ReduceMax",
        "ReduceMean",
        "ReduceMin",
        "ReduceProd",
        "ReduceSum",
        "Reduction",
        "Resample",
        "Reshape",
        "ResizeBilinear",
        "Round",
        "ScaleRoute",
        "Shape",
        "Sin",
        "Softsign",
        "SpaceToBatchND",
        "SpatialTransformer",
        "TextProposal",
        "Threshold",
        "ThresholdedReLU",
        "Tile",
        "UnPooling",
        "Upsample",
        "YoloDetectionOutput",
        "Yolov3DetectionOutput",
    ]
)


def test_exports_of_every_layer_are_imported_or_refused(tmp_path):
    """Every example of every layer type gives the same numbers, or is refused if its type is in REFUSED."""
    import sys
    from pathlib import Path

    sys.path.append(str(Path(__file__).parents[2] / "caffe" / "layers"))
    from test_conformance import EXAMPLES, base, build_net, top_arrays

    from caffe.convert.onnx_export import model_bytes

    imported = 0
    for name, example in (case.values for case in EXAMPLES):
        if base.registry[name].no_onnx or not example.bottoms or not example.tops or example.phase != base.TEST:
            continue
        net, _ = build_net(name, example)
        (tmp_path / "m.onnx").write_bytes(model_bytes(net))
        bottoms = {source: net.blobs[source].data.copy() for source in net.inputs}
        net.forward()
        try:
            files = importer.write(tmp_path / "m.onnx", str(tmp_path / "m.caffemodel"))
        except CaffeError:
            assert name in REFUSED
            continue
        copy = Net(files[0], caffe_pb2.TEST, weights=files[1])
        for source in set(bottoms) & set(copy.inputs):
            copy.blobs[source].data[...] = bottoms[source]
        copy.forward()
        for top, expected in top_arrays(net).items():
            np.testing.assert_allclose(copy.blobs[top].data, expected, rtol=1e-4, atol=1e-5, err_msg=str(example))
        imported += 1
    assert imported > 70


class TorchNet(torch.nn.Module):
    """Common building blocks: strided and depthwise convolutions, BatchNorm, a gate, upsampling, pooling, a head."""

    def __init__(self):
        super().__init__()
        nn = torch.nn
        self.stem = nn.Conv2d(3, 16, 3, 2, 1, bias=False)
        self.norm, self.pool = nn.BatchNorm2d(16), nn.MaxPool2d(3, 2, 1)
        self.depth, self.clip, self.slope = nn.Conv2d(16, 16, 3, 1, 1, groups=16), nn.ReLU6(), nn.PReLU(16)
        self.up, self.mean = nn.ConvTranspose2d(16, 16, 2, 2, groups=4), nn.AvgPool2d(3, 2, 1)
        self.whole, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(16, 10)

    def forward(self, x):
        x = self.pool(torch.relu(self.norm(self.stem(x))))
        x = self.slope(self.clip(self.depth(x)) + x)
        x = self.mean(self.up(x * torch.sigmoid(x)))
        x = self.whole(x)
        return torch.softmax(3 * self.head(x.view(x.size(0), -1)), 1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("opset", "axes"), [(11, None), (17, {"x": {0: "n"}})])
def test_net_exported_by_pytorch(opset, axes, tmp_path):
    torch.manual_seed(1)
    net = TorchNet().eval()
    net.norm.running_mean.uniform_(-1, 1)
    net.norm.running_var.uniform_(0.5, 2)
    x = torch.randn(1, 3, 33, 31)
    path = str(tmp_path / "m.onnx")
    torch.onnx.export(net, x, path, opset_version=opset, dynamo=False, input_names=["x"], dynamic_axes=axes)
    files = importer.write(path, str(tmp_path / "m.caffemodel"))
    expected = net(x).detach().numpy()
    assert np.ptp(expected) > 0.05
    np.testing.assert_allclose(by_caffe(*files, x.numpy()), expected, rtol=1e-4, atol=1e-6)
