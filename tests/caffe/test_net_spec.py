"""NetSpec: nets defined in Python, as in pycaffe."""

import pytest

import caffe
from caffe import layers as L
from caffe import params as P
from caffe.errors import CaffeError
from caffe.net_spec import Function, Top, assign_proto, param_name_dict
from caffe.proto import caffe_pb2, text


def lenet():
    n = caffe.NetSpec()
    n.data, n.label = L.DummyData(shape=[dict(dim=[4, 1, 28, 28]), dict(dim=4)], ntop=2)
    n.conv1 = L.Convolution(n.data, kernel_size=5, num_output=20, weight_filler=dict(type="xavier"))
    n.pool1 = L.Pooling(n.conv1, kernel_size=2, stride=2, pool=P.Pooling.MAX)
    n.ip1 = L.InnerProduct(n.pool1, num_output=50, param=[dict(lr_mult=1), dict(lr_mult=2, decay_mult=0)])
    n.relu1 = L.ReLU(n.ip1, in_place=True)
    n.ip2 = L.InnerProduct(n.relu1, num_output=10, name="classifier", include=dict(phase=caffe.TRAIN))
    n.loss = L.SoftmaxWithLoss(n.ip2, n.label, loss_weight=0.5, loss_param=dict(ignore_label=3))
    return n


EXPECTED = """
layer { name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: 4 dim: 1 dim: 28 dim: 28 } shape { dim: 4 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { kernel_size: 5 num_output: 20 weight_filler { type: "xavier" } } }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { kernel_size: 2 stride: 2 pool: MAX } }
layer { name: "ip1" type: "InnerProduct" bottom: "pool1" top: "ip1" inner_product_param { num_output: 50 }
  param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 } }
layer { name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }
layer { name: "classifier" type: "InnerProduct" bottom: "ip1" top: "ip2"
  inner_product_param { num_output: 10 } include { phase: TRAIN } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" loss_weight: 0.5
  loss_param { ignore_label: 3 } }
"""


def parsed(prototxt):
    net = caffe_pb2.NetParameter()
    text.parse(prototxt, net)
    return net


def test_lenet():
    assert lenet().to_proto() == parsed(EXPECTED)


def test_text_is_a_valid_net_file(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(str(lenet().to_proto()))
    net = caffe.Net(str(path), caffe.TRAIN)
    assert [layer.type for layer in net.layers][-1] == "SoftmaxWithLoss"
    net.forward()


def test_names_are_generated_from_type_and_number():
    data, label = L.DummyData(shape=dict(dim=[2, 3]), ntop=2)
    score = L.InnerProduct(L.ReLU(L.InnerProduct(data, num_output=2), in_place=True), num_output=3)
    net = L.SoftmaxWithLoss(score, label).to_proto()
    assert [(layer.name, list(layer.top)) for layer in net.layer] == [
        ("DummyData1", ["DummyData1", "DummyData2"]),
        ("InnerProduct1", ["InnerProduct1"]),
        ("ReLU1", ["InnerProduct1"]),
        ("InnerProduct2", ["InnerProduct2"]),
        ("SoftmaxWithLoss1", ["SoftmaxWithLoss1"]),
    ]
    assert len(caffe.to_proto(score, data).layer) == 4


def test_layers_without_tops():
    n = caffe.NetSpec()
    n.data, n.data2 = L.DummyData(shape=dict(dim=3), ntop=2)
    n.silence = L.Silence(n.data, ntop=0)
    n["other"] = L.Silence(n["data2"], ntop=0)
    assert isinstance(n.silence, Function)
    assert [(x.name, len(x.top)) for x in n.to_proto().layer] == [("data", 2), ("silence", 0), ("other", 0)]


def test_tuple_is_not_a_top():
    data = L.DummyData(ntop=2)
    assert all(isinstance(top, Top) for top in data)
    with pytest.raises(TypeError, match=r"^Silence input 0 is not a Top \(type is <class 'tuple'>\)$"):
        L.Silence(data, ntop=0)
    n = caffe.NetSpec()
    n.both = data
    with pytest.raises(TypeError, match="'both' is not a Top"):
        n.to_proto()


def test_unknown_parameter():
    for params in (dict(kernal_size=3), dict(convolution_param=dict(kernal_size=3))):
        with pytest.raises(AttributeError, match="did you mean 'kernel_size'") as caught:
            L.Convolution(L.Input(), **params).to_proto()
        assert isinstance(caught.value, CaffeError)
    with pytest.raises(AttributeError):
        P.Poling  # noqa: B018
    with pytest.raises(AttributeError, match="no top 'cnov'; did you mean 'conv'"):
        n = caffe.NetSpec()
        n.conv = L.Input()
        n.cnov  # noqa: B018


def test_shared_parameters_need_no_message():
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 2, 4, 4]))
    n.up = L.Deconvolution(n.data, num_output=3, kernel_size=2)
    n.up2 = L.Deconvolution(n.data, convolution_param=dict(num_output=3, kernel_size=2))
    net = n.to_proto()
    assert net.layer[1].convolution_param == net.layer[2].convolution_param
    assert net.layer[1].convolution_param.num_output == 3


def test_assign_proto():
    layer = caffe_pb2.LayerParameter()
    assign_proto(layer, "bottom", "a")
    assign_proto(layer, "bottom", ("b", "c"))
    assign_proto(layer, "param", dict(lr_mult=2))
    assign_proto(layer, "dropout_param", {})
    assign_proto(layer, "relu_param", caffe_pb2.ReLUParameter(negative_slope=0.5))
    assert list(layer.bottom) == ["a", "b", "c"] and layer.param[0].lr_mult == 2
    assert layer.HasField("dropout_param") and layer.relu_param.negative_slope == 0.5
    names = param_name_dict()
    assert names["InnerProduct"] == "inner_product" and names["LRN"] == "lrn"


def test_nets_deeper_than_the_recursion_limit():
    top = L.Input(shape=dict(dim=[1, 1]))
    for _ in range(3000):
        top = L.ReLU(top)
    assert len(top.to_proto().layer) == 3001
