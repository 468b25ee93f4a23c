"""Deploy nets converted from train_val nets, compared with handwritten deploy files."""

import pytest
from support.checkout import ROOT
from support.external_data import SHARED, needs_shared

from caffe.convert.deploy import deploy
from caffe.errors import CaffeError
from caffe.proto import caffe_pb2
from caffe.proto.read import read_net, read_net_text


def _structure(param):
    """Everything that affects the output: types, bottoms, tops and parameters of the layers, without Dropout."""
    rows = []
    for layer in param.layer:
        if layer.type in ("Dropout", "Input"):
            continue
        copy = caffe_pb2.LayerParameter()
        copy.CopyFrom(layer)
        for field in ("param", "include", "exclude", "phase", "blobs"):
            copy.ClearField(field)
        for message in (copy.convolution_param, copy.inner_product_param):
            message.ClearField("weight_filler")
            message.ClearField("bias_filler")
        rows.append((layer.name, layer.type, list(layer.bottom), list(layer.top), _parameters(copy)))
    return rows


def _parameters(layer):
    return {
        field.name: value.SerializeToString(deterministic=True)
        for field, value in layer.ListFields()
        if field.name.endswith("_param") and len(value.ListFields())
    }


@pytest.mark.parametrize("name", ["AgeNet", "GenderNet"])
def test_result_equals_the_deploy_file_in_prototxt(name):
    result = deploy(read_net(str(ROOT / "prototxt" / (name + "_train_test.prototxt"))).param)
    expected = read_net(str(ROOT / "prototxt" / (name + "_deploy.prototxt"))).param
    assert _structure(result) == _structure(expected)
    assert list(result.layer[0].input_param.shape[0].dim) == [1, 3, 227, 227]


@needs_shared
@pytest.mark.parametrize("task", ["age", "gender"])
def test_result_equals_the_published_deploy_file_of_levi(task):
    result = deploy(read_net(str(SHARED / "data" / "levi" / (task + "_train_val_fold_0.prototxt"))).param)
    published = read_net(str(SHARED / "data" / "levi" / (task + "_deploy.prototxt"))).param
    assert _structure(result) == _structure(published)


NET = """
layer { name: "data" type: "Data" top: "data" top: "label" data_param { source: "none" batch_size: 8 }
  transform_param { crop_size: 32 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "aux" type: "InnerProduct" bottom: "conv" top: "aux" inner_product_param { num_output: 5 } }
layer { name: "aux_loss" type: "SoftmaxWithLoss" bottom: "aux" bottom: "label" top: "aux_loss" loss_weight: 0.3 }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" inner_product_param { num_output: 5 } }
layer { name: "drop" type: "Dropout" bottom: "fc" top: "dropped" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "dropped" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "dropped" bottom: "label" top: "accuracy" include { phase: TEST } }
"""


def test_auxiliary_heads_labels_and_dropout_are_removed():
    net = deploy(read_net_text(NET, "net").param)
    assert [(layer.name, layer.type, list(layer.bottom)) for layer in net.layer] == [
        ("data", "Input", []),
        ("conv", "Convolution", ["data"]),
        ("fc", "InnerProduct", ["conv"]),
        ("prob", "Softmax", ["fc"]),
    ]
    assert list(net.layer[0].top) == ["data"]


def test_heads_with_equal_weights_are_kept():
    net = deploy(read_net_text(NET.replace("loss_weight: 0.3", ""), "net").param)
    assert [layer.name for layer in net.layer if layer.type == "Softmax"] == ["aux_prob", "dropped_prob"]


def test_loss_that_exists_only_in_train_gives_the_output():
    text = NET.replace('top: "loss" }', 'top: "loss" include { phase: TRAIN } }').replace(
        "loss_weight: 0.3", "include { phase: TRAIN }"
    )
    net = deploy(read_net_text(text, "net").param)
    assert {layer.name for layer in net.layer if layer.type == "Softmax"} == {"aux_prob", "dropped_prob"}


def test_input_shape_argument():
    net = deploy(read_net_text(NET, "net").param, (2, 3, 40, 48))
    assert list(net.layer[0].input_param.shape[0].dim) == [2, 3, 40, 48]


def test_net_without_data_layer():
    text = 'name: "odd" layer { name: "p" type: "Parameter" top: "p" parameter_param { shape { dim: 2 } } }'
    with pytest.raises(CaffeError, match="odd.*no data layer"):
        deploy(read_net_text(text, "net").param)
