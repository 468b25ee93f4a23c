"""ONNX export: same outputs in ONNX Runtime as in Net, Caffe's names, deterministic files."""

import numpy as np
import onnx
import onnxruntime
import pytest
from support.layer_nets import net_of

import caffe
from caffe.convert.onnx_export import Graph, export_net, model_bytes
from caffe.errors import CaffeError
from caffe.utils.telemetry import import_openvino

NET = """
name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 9 dim: 9 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "msra" } bias_filler { value: 1 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "fc6" type: "InnerProduct" bottom: "pool" top: "fc6"
  inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
layer { name: "relu6" type: "ReLU" bottom: "fc6" top: "fc6" }
layer { name: "drop6" type: "Dropout" bottom: "fc6" top: "fc6" }
layer { name: "age" type: "InnerProduct" bottom: "fc6" top: "age"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "gender" type: "InnerProduct" bottom: "fc6" top: "gender"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "age" top: "prob" }
"""


@pytest.fixture
def net():
    caffe.set_random_seed(1)
    return net_of(NET, caffe.TEST)


def test_model_is_valid_and_agrees_with_net(net, tmp_path):
    path = tmp_path / "net.onnx"
    export_net(net, path)
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path))
    x = np.random.default_rng(0).standard_normal((2, 3, 9, 9), np.float32)
    expected = net.forward(data=x)
    names = [output.name for output in session.get_outputs()]
    assert names == ["gender", "prob"]
    for name, array in zip(names, session.run(None, {"data": x})):
        np.testing.assert_allclose(array, expected[name], atol=1e-6)


def test_versions_and_names(net):
    model = onnx.load_from_string(model_bytes(net))
    assert model.ir_version == 6 and [(o.domain, o.version) for o in model.opset_import] == [("", 11)]
    assert model.graph.name == "small"
    assert [i.name for i in model.graph.input] == ["data"]
    outputs = [name for node in model.graph.node for name in node.output]
    assert {"conv", "pool", "fc6", "age", "gender", "prob"} <= set(outputs)
    assert len(outputs) == len(set(outputs))  # every tensor is written once, in place or not
    assert all(node.op_type != "Identity" for node in model.graph.node)
    layers = {node.doc_string for node in model.graph.node}
    assert layers == {"conv", "relu", "pool", "fc6", "relu6", "age", "gender", "prob"}  # Dropout is the identity


@pytest.mark.parametrize(
    "tail, output", [("", "data@half"), ('layer { name: "r" type: "ReLU" bottom: "data" top: "r" }', "r")]
)
def test_in_place_layers_on_an_input(tail, output):
    """The input keeps its name, so tensors written in place get other names."""
    net = net_of(
        """layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
        layer { name: "minus" type: "Power" bottom: "data" top: "data" power_param { shift: -1 } }
        layer { name: "half" type: "Power" bottom: "data" top: "data" power_param { scale: 0.5 } }"""
        + tail,
        caffe.TEST,
    )
    session = onnxruntime.InferenceSession(model_bytes(net))
    assert [o.name for o in session.get_outputs()] == [output]
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    expected = (x - 1) / 2 if not tail else np.maximum((x - 1) / 2, 0)
    np.testing.assert_allclose(session.run(None, {"data": x})[0], expected)


def test_output_is_deterministic(net):
    expected = model_bytes(net)
    net.forward(data=np.ones((2, 3, 9, 9), np.float32))
    assert model_bytes(net) == expected


def test_streamed_file_equals_protobufs_serialization(net):
    """The weights are streamed to the file without protobuf; protobuf must be able to read them."""
    content = model_bytes(net)
    model = onnx.load_from_string(content)
    assert onnx.load_from_string(model.SerializeToString()) == model
    weights = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    assert any(np.array_equal(w, net.params["conv"][0].data) for w in weights.values())
    assert abs(len(model.SerializeToString()) - len(content)) < 16


def test_output_that_equals_the_input_stays_a_separate_tensor():
    net = net_of(
        """
      layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }
      layer { name: "a" type: "Dropout" bottom: "data" top: "a" }
      layer { name: "b" type: "Dropout" bottom: "a" top: "b" }""",
        caffe.TEST,
    )
    content = model_bytes(net)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    x = np.ones((1, 3), np.float32)
    assert np.array_equal(onnxruntime.InferenceSession(content).run(["b"], {"data": x})[0], x)


def test_all_layers_without_an_onnx_form_are_reported():
    net = net_of(
        """
      layer { name: "data" type: "Input" top: "data" top: "label"
        input_param { shape { dim: 4 dim: 3 } shape { dim: 4 } } }
      layer { name: "loss" type: "SoftmaxWithLoss" bottom: "data" bottom: "label" top: "loss" }
      layer { name: "hinge" type: "HingeLoss" bottom: "data" bottom: "label" top: "hinge" }""",
        caffe.TEST,
    )
    with pytest.raises(CaffeError) as caught:
        model_bytes(net)
    assert "layer 'loss' (SoftmaxWithLoss)" in str(caught.value) and "layer 'hinge'" in str(caught.value)


def test_net_of_two_gigabytes_is_rejected(tmp_path, monkeypatch):
    from caffe.convert import onnx_export as exporter

    monkeypatch.setattr(exporter, "LIMIT", 2000)
    with pytest.raises(CaffeError, match="an ONNX file must be smaller than 2 GB"):
        export_net(net_of(NET, caffe.TEST), tmp_path / "big.onnx")
    assert list(tmp_path.iterdir()) == []


def test_graph_constants():
    g = Graph()
    g.layer = "x"
    weights = np.ones((2, 3))
    name = g.constant(weights, "w")
    assert g.shape(name) == (2, 3)
    assert dict(g.constants)[name].dtype == np.float32
    shape = g.constant([1, -1], "shape")
    assert dict(g.constants)[shape].dtype == np.int64
    shared = np.ones(4, np.float32)
    assert g.constant(shared, "a") == g.constant(shared, "b")  # shared weights are stored once
    assert g.temp("t") != g.temp("t")


@pytest.mark.parametrize("group", [1, 2])
def test_padded_1x1_convolution_with_stride_after_a_pooling(group):
    """OpenVINO moves the stride into the pooling layer, before the padding."""
    body = 'pooling_param { kernel_size: 2 stride: 1 } } layer { name: "c" type: "Convolution" bottom: "p" top: "c" '
    shape = "input_param { shape { dim: 2 dim: 4 dim: 7 dim: 8 } }"
    net = net_of(
        f'layer {{ name: "x" type: "Input" top: "x" {shape} }} layer {{ name: "p" type: "Pooling" bottom: "x" top: "p" '
        f"{body} convolution_param {{ num_output: 6 kernel_size: 1 stride: 2 pad: 1 group: {group} "
        'weight_filler { type: "xavier" } } }',
        caffe.TEST,
    )
    data = np.random.default_rng(1).normal(size=(2, 4, 7, 8)).astype(np.float32)
    net.blobs["x"].data[...] = data
    net.forward_range(0, 2)
    core = import_openvino().Core()
    model = core.compile_model(core.read_model(model_bytes(net)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    np.testing.assert_allclose(model({0: data})[0], net.blobs["c"].data, atol=1e-5)
