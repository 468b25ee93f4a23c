"""dlib's age and gender nets, converted from ONNX files of their structure, compute what ONNX Runtime computes."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from agegender import zoo
from agegender.errors import AgeGenderError
from agegender.zoo import assemble, compact, compact_dlib, dlib_faces
from caffe.net.net import Net
from caffe.proto import caffe_pb2

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra `test`")


class Graph:
    """An ONNX graph of dlib's layers with random weights: convolution, affine, ReLU, and residual blocks."""

    def __init__(self, side):
        self.rng, self.side, self.nodes, self.constants = np.random.default_rng(side), side, [], []

    def constant(self, *shape, value=None):
        array = self.rng.normal(0, 1 / np.sqrt(max(1, np.prod(shape[1:]))), shape) if value is None else value
        self.constants.append(numpy_helper.from_array(np.asarray(array, np.float32), f"c{len(self.constants)}"))
        return self.constants[-1].name

    def add(self, kind, *inputs, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [f"b{len(self.nodes)}"], **attributes))
        return f"b{len(self.nodes) - 1}"

    def conv(self, bottom, channels, outputs, kernel, stride=1, pad=1, relu=True):
        weights = self.constant(outputs, channels, kernel, kernel), self.constant(outputs)
        geometry = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4}
        top = self.add("Conv", bottom, *weights, **geometry)
        top = self.add("Mul", top, self.constant(value=self.rng.uniform(0.5, 1.5, (1, outputs, 1, 1))))
        top = self.add("Add", top, self.constant(1, outputs, 1, 1))
        return self.add("Relu", top) if relu else top

    def pad(self, bottom, channels, pixels):
        pads = numpy_helper.from_array(np.array([0, 0, 0, 0, 0, channels, pixels, pixels]), f"c{len(self.constants)}")
        self.constants.append(pads)
        return self.add("Pad", bottom, pads.name)

    def pool(self, bottom):
        return self.add("AveragePool", bottom, kernel_shape=[2, 2], strides=[2, 2])

    def block(self, bottom, channels, outputs, size):
        half = channels != outputs
        top = self.conv(bottom, channels, outputs, 3, 1 + half, 1 - half)
        top = self.conv(top, outputs, outputs, 3, relu=False)
        if half:
            bottom = self.pad(self.pool(bottom), outputs - channels, 0)
            top = self.pad(top, 0, 1) if size % 2 == 0 else top
        return self.add("Relu", self.add("Add", top, bottom))

    def dense(self, bottom, inputs, outputs):
        return self.add("Gemm", bottom, self.constant(inputs, outputs), self.constant(outputs))

    def write(self, path, top):
        self.nodes.append(helper.make_node("Softmax", [top], ["probabilities"], axis=1))
        images = helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [1, 3, self.side, self.side])
        output = helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "dlib", [images], [output], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        onnx.save(model, path)


def age_file(path):
    g = Graph(64)
    top = g.conv("images", 3, 64, 7, 2, 0)
    top = g.add("MaxPool", top, kernel_shape=[3, 3], strides=[2, 2])
    for channels, outputs, size in ((64, 64, 14), (64, 128, 14), (128, 128, 7), (128, 256, 7), (256, 256, 3)):
        top = g.block(top, channels, outputs, size)
    top = g.add("Flatten", g.add("GlobalAveragePool", top))
    g.write(path, g.dense(top, 256, 81))


def gender_file(path):
    g, top, channels = Graph(32), "images", 3
    for width in (32, 64):
        top = g.pool(g.conv(g.conv(top, channels, width, 3), width, width, 3))
        channels = width
    top = g.add("Mul", top, g.constant(value=[0.25]))
    top = g.add("Relu", g.dense(g.add("Flatten", top), 4096, 16))
    top = g.add("Mul", top, g.constant(value=[1.5]))
    g.write(path, g.dense(top, 16, 2))


@pytest.mark.parametrize(("name", "write"), [("dlib-age", age_file), ("dlib-gender", gender_file)])
def test_the_converted_net_predicts_what_onnx_runtime_does(name, write, tmp_path):
    path, net = str(tmp_path / "net.onnx"), zoo.nets()[name]
    write(path)
    image = np.random.default_rng(1).normal(0, 0.3, (1, *net.shape)).astype(np.float32)
    (expected,) = onnxruntime.InferenceSession(path).run(None, {"images": image})
    deploy = assemble.deploy_net(net, dlib_faces.convert(path, net))
    deploy.blobs["data"].data[...] = image
    received = deploy.forward()["prob"]
    assert expected.max() > 1.5 / expected.size  # not uniform
    assert np.abs(received - expected).max() < 1e-5


def test_another_net_is_rejected(tmp_path):
    path = str(tmp_path / "net.onnx")
    gender_file(path)
    with pytest.raises(AgeGenderError, match="expected 12 layers with weights, received 6"):
        dlib_faces.convert(path, zoo.nets()["dlib-age"])


def test_the_years_end_at_80_and_women_come_first():
    age, gender = zoo.resolve("dlib")
    assert (len(age.labels), age.labels.names[-1]) == (81, "80")
    ten = np.eye(81)[10]
    assert age.labels.decode(ten).text == "10-19" and age.labels.decode(ten).years == 10
    assert gender.labels.names == ("Female", "Male")


def test_the_branch_of_the_compact_net_predicts_what_the_gender_net_does(tmp_path):
    path, net, rng = str(tmp_path / "net.onnx"), zoo.nets()["compact-dlib-gender"], np.random.default_rng(2)
    gender_file(path)
    image = rng.normal(0, 0.3, (1, 3, 32, 4, 32, 4)).astype(np.float32)  # RGB, as dlib's net sees it
    (expected,) = onnxruntime.InferenceSession(path).run(None, {"images": image.mean((3, 5))})
    weights = compact_dlib.branch_weights(path, net)
    caffe_net = Net.from_param(net.body(), caffe_pb2.TEST)
    for name, arrays in weights.items():
        for blob, array in zip(caffe_net.params[name], arrays):
            blob.data[...] = array.reshape(tuple(blob.shape))
    caffe_net.blobs["data"].data[...] = image.reshape(1, 3, 128, 128)[:, ::-1] * compact.SCALE / dlib_faces.SCALE
    caffe_net.forward(end="relu_dlib_features")
    matrix, bias = weights["gender_logits"]
    logits = matrix[:, -16:] @ caffe_net.blobs["dlib_features"].data[0] + bias
    assert not matrix[:, :-16].any()  # the other features count nothing before training
    assert abs(logits[1] - logits[0]) > 0.1
    np.testing.assert_allclose(logits[1] - logits[0], np.log(expected[0, 0] / expected[0, 1]), rtol=1e-4)
