"""Files in the style of the ONNX model zoo: written here like the zoo's converter does, run directly and imported.

Properties of that converter: opset 11, weights among the inputs, `<layer>_Y` for the output of a layer, `input` for
the first tensor, a fully connected layer as Reshape and Gemm, pooling with ceil rounding as one more pixel of padding
at the end, Dropout kept.
"""

import json

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from support.checkout import ROOT

from agegender import cli, zoo
from agegender.zoo import assemble, download
from caffe.convert.onnx_import import importer
from caffe.errors import CaffeError
from caffe.proto.read import read_net
from caffe.weights.snapshot import read_weights

torch.set_num_threads(1)


def layers_of(path, net):
    return importer.layers_of(path, list(assemble.deploy_net(net).params), net.name)


class Writer:
    """Converts a deploy prototxt to ONNX nodes with random weights, with the sizes of Caffe's rounding."""

    def __init__(self, prototxt, rng):
        self.rng, self.nodes, self.arrays, self.layers = rng, [], {}, {}
        self.tensor, self.shape = {}, {}
        for layer in read_net(prototxt).param.layer:
            getattr(self, layer.type.lower())(layer, [self.tensor.get(name) for name in layer.bottom])

    def node(self, op_type, layer, inputs, shape, **attributes):
        name = layer.name.removesuffix("_Y") + "_Y"  # the last layer of the prototxt already has the converter's name
        self.nodes.append(helper.make_node(op_type, inputs, [name], name=layer.name, **attributes))
        self.tensor[layer.top[0]], self.shape[name] = name, shape

    def weight(self, layer, *shape):
        """Add a random float32 weight (He initialisation) and a bias; return their names."""
        scale = (2 / np.prod(shape[1:])) ** 0.5
        pair = [
            self.rng.normal(0, scale, shape).astype(np.float32),
            self.rng.normal(0, 0.1, shape[0]).astype(np.float32),
        ]
        self.layers[layer.name] = pair
        names = [layer.name + "_W", layer.name + "_b"]
        self.arrays.update(zip(names, pair))
        return names

    def input(self, layer, _):
        self.tensor[layer.top[0]] = "input"
        self.shape["input"] = tuple(layer.input_param.shape[0].dim)

    def convolution(self, layer, bottoms):
        p, (n, c, h, w) = layer.convolution_param, self.shape[bottoms[0]]
        k, s, pad = p.kernel_size[0], (list(p.stride) or [1])[0], (list(p.pad) or [0])[0]
        h, w = ((size + 2 * pad - k) // s + 1 for size in (h, w))
        names = self.weight(layer, p.num_output, c, k, k)
        self.node(
            "Conv",
            layer,
            [*bottoms, *names],
            (n, p.num_output, h, w),
            kernel_shape=[k, k],
            strides=[s, s],
            pads=[pad] * 4,
        )

    def pooling(self, layer, bottoms):
        p, (n, c, h, w) = layer.pooling_param, self.shape[bottoms[0]]
        k, s, pad = p.kernel_size, p.stride, p.pad
        extra = [-(size + 2 * pad - k) % s > 0 for size in (h, w)]
        h, w = ((size + 2 * pad + e - k) // s + 1 for size, e in zip((h, w), extra))
        pads = [pad, pad, pad + extra[0], pad + extra[1]]
        op_type = "MaxPool" if p.pool == p.MAX else "AveragePool"
        self.node(op_type, layer, bottoms, (n, c, h, w), kernel_shape=[k, k], strides=[s, s], pads=pads)

    def innerproduct(self, layer, bottoms):
        size, outputs = int(np.prod(self.shape[bottoms[0]][1:])), layer.inner_product_param.num_output
        shape, flat = layer.name + "_shape", layer.name + "_flat"
        self.arrays[shape] = np.array([1, size], np.int64)
        self.nodes.append(helper.make_node("Reshape", [*bottoms, shape], [flat], name=flat))
        self.node("Gemm", layer, [flat, *self.weight(layer, outputs, size)], (1, outputs), transB=1)

    def lrn(self, layer, bottoms):
        p = layer.lrn_param
        self.node(
            "LRN", layer, bottoms, self.shape[bottoms[0]], size=p.local_size, alpha=p.alpha, beta=p.beta, bias=1.0
        )

    def relu(self, layer, bottoms):
        self.node("Relu", layer, bottoms, self.shape[bottoms[0]])

    def dropout(self, layer, bottoms):
        self.node("Dropout", layer, bottoms, self.shape[bottoms[0]])

    def softmax(self, layer, bottoms):
        self.node("Softmax", layer, bottoms, self.shape[bottoms[0]], axis=1)

    def concat(self, layer, bottoms):
        shapes = [self.shape[name] for name in bottoms]
        joined = (shapes[0][0], sum(shape[1] for shape in shapes), *shapes[0][2:])
        self.node("Concat", layer, bottoms, joined, axis=1)

    def save(self, path):
        tensors = [numpy_helper.from_array(array, name) for name, array in self.arrays.items()]
        inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, self.shape["input"])]
        inputs += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in tensors]
        last = self.nodes[-1].output[0]
        outputs = [helper.make_tensor_value_info(last, TensorProto.FLOAT, self.shape[last])]
        graph = helper.make_graph(self.nodes, "googlenet", inputs, outputs, tensors)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6), str(path))


def write(task, rng):
    writer = Writer(ROOT / "prototxt" / zoo.nets()["googlenet-" + task].deploy_file, rng)
    assert writer.nodes[-1].output[0] == "loss3/loss3_Y"
    return writer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with {age,gender}_googlenet.onnx in the zoo's style, and an image."""
    folder = tmp_path_factory.mktemp("onnx")
    rng = np.random.default_rng(8)
    for task in ("age", "gender"):
        write(task, rng).save(folder / f"{task}_googlenet.onnx")
    cv2.imwrite(str(folder / "face.png"), rng.integers(0, 256, (240, 230, 3), np.uint8))
    return folder


def run_original(path, blob):
    """Outputs of the original file in ONNX Runtime and OpenVINO."""
    import onnxruntime
    import openvino

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (onnxruntime_output,) = session.run(["loss3/loss3_Y"], {"input": blob})
    core = openvino.Core()
    config = {"INFERENCE_PRECISION_HINT": "f32"}
    openvino_output = core.compile_model(core.read_model(str(path)), "CPU", config)([blob])["loss3/loss3_Y"]
    return onnxruntime_output[0], openvino_output[0]


def test_imported_net_agrees_with_the_original_file(folder, monkeypatch, capsys):
    monkeypatch.setenv("CAFFE2NCS_CACHE", str(folder / "cache"))
    image = cv2.resize(cv2.imread(str(folder / "face.png")), (224, 224)).astype(np.float32)
    blob = np.ascontiguousarray((image - [104, 117, 123]).transpose(2, 0, 1)[None], np.float32)  # BGR
    for task in ("age", "gender"):
        path = folder / f"{task}_googlenet.onnx"
        expected, openvino_output = run_original(path, blob)
        np.testing.assert_allclose(openvino_output, expected, atol=1e-4)
        assert cli.main(["zoo", "convert", "googlenet-" + task, str(path)]) == 0
        capsys.readouterr()
        for device in ("CPU", "ONNXRUNTIME", "CAFFE"):
            argv = [
                "--model",
                "googlenet-" + task,
                "--model-dir",
                folder / "graph",
                "--image_path",
                folder / "face.png",
            ]
            assert cli.main(["predict", *map(str, argv), "--json", "--device", device]) == 0
            probabilities = json.loads(capsys.readouterr().out)["answers"]["googlenet-" + task]["probabilities"]
            np.testing.assert_allclose(probabilities, expected, atol=2e-3 if device == "CPU" else 1e-4)  # FP16 IR


def test_weights_are_assigned_to_their_layers(folder, tmp_path):
    expected = write("age", np.random.default_rng(8)).layers
    layers = layers_of(folder / "age_googlenet.onnx", zoo.nets()["googlenet-age"])
    assert set(layers) == set(expected) and len(layers) == 58
    for name, pair in layers.items():
        for array, expected_array in zip(pair, expected[name]):
            np.testing.assert_array_equal(array, expected_array)
    with pytest.raises(CaffeError, match="58 layers with weights, 'levi-age' has 6"):
        layers_of(folder / "age_googlenet.onnx", zoo.nets()["levi-age"])
    with pytest.raises(CaffeError, match="do not fit 'googlenet-gender'"):
        download.convert(
            zoo.nets()["googlenet-gender"], str(folder / "age_googlenet.onnx"), str(tmp_path / "x.caffemodel")
        )
    assert not (tmp_path / "x.caffemodel").exists()


def test_layers_without_names_are_matched_by_order(folder, tmp_path):
    model = onnx.load(folder / "gender_googlenet.onnx")
    tensors = {output: f"t{i}" for i, node in enumerate(model.graph.node) for output in node.output}
    tensors["loss3/loss3_Y"] = "loss3/loss3_Y"
    for node in model.graph.node:
        node.name = ""
        node.input[:] = [tensors.get(name, name) for name in node.input]
        node.output[:] = [tensors[name] for name in node.output]
    onnx.save(model, str(tmp_path / "nameless.onnx"))
    net = zoo.nets()["googlenet-gender"]
    result, expected = (layers_of(path, net) for path in (tmp_path / "nameless.onnx", folder / "gender_googlenet.onnx"))
    assert list(result) == list(expected)
    for name in expected:
        np.testing.assert_array_equal(result[name][0], expected[name][0])


def test_convert_command_writes_prototxt_and_caffemodel(folder, tmp_path, capsys):
    source = str(folder / "gender_googlenet.onnx")
    assert cli.main(["zoo", "convert", source, "--out", str(tmp_path / "g.caffemodel")]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "g.prototxt"), str(tmp_path / "g.caffemodel")]
    param = read_net(tmp_path / "g.prototxt").param
    assert param.layer[0].top == ["input"] and param.layer[-1].top == ["loss3/loss3_Y"]
    assert sum(array.size for arrays in read_weights(tmp_path / "g.caffemodel").values() for array in arrays) == 5975602
