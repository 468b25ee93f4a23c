"""Deploy nets made from train_val nets, against deploy files that people wrote by hand."""

import pytest
from support.checkout import ROOT
from support.external_data import SHARED, needs_shared

from caffe.convert.deploy import deploy
from caffe.errors import CaffeError
from caffe.proto import caffe_pb2
from caffe.proto.read import read_net, read_net_text


def _shape_of_net(param):
    """What decides an answer: type, bottoms, tops and parameters of the layers, in order, without Dropout and names of files."""
    rows = []
    for layer in param.layer:
        if layer.type in ("Dropout", "Input"):
            continue
        settings = caffe_pb2.LayerParameter()
        settings.CopyFrom(layer)
        for field in ("param", "include", "exclude", "phase", "blobs"):
            settings.ClearField(field)
        for inner in (settings.convolution_param, settings.inner_product_param):
            inner.ClearField("weight_filler")
            inner.ClearField("bias_filler")
        rows.append((layer.name, layer.type, list(layer.bottom), list(layer.top), _sizes(settings)))
    return rows


def _sizes(layer):
    return {
        field.name: value.SerializeToString(deterministic=True)
        for field, value in layer.ListFields()
        if field.name.endswith("_param") and len(value.ListFields())
    }


@pytest.mark.parametrize("name", ["AgeNet", "GenderNet"])
def test_ours_equals_the_deploy_file_in_prototxt(name):
    made = deploy(read_net(str(ROOT / "prototxt" / (name + "_train_test.prototxt"))).param)
    written = read_net(str(ROOT / "prototxt" / (name + "_deploy.prototxt"))).param
    assert _shape_of_net(made) == _shape_of_net(written)
    assert list(made.layer[0].input_param.shape[0].dim) == [1, 3, 227, 227]


@needs_shared
@pytest.mark.parametrize("task", ["age", "gender"])
def test_levi_train_val_gives_his_deploy(task):
    made = deploy(read_net(str(SHARED / "data" / "levi" / (task + "_train_val_fold_0.prototxt"))).param)
    published = read_net(str(SHARED / "data" / "levi" / (task + "_deploy.prototxt"))).param
    assert _shape_of_net(made) == _shape_of_net(published)


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


def test_auxiliary_heads_labels_and_dropout_go():
    net = deploy(read_net_text(NET, "net").param)
    assert [(layer.name, layer.type, list(layer.bottom)) for layer in net.layer] == [
        ("data", "Input", []),
        ("conv", "Convolution", ["data"]),
        ("fc", "InnerProduct", ["conv"]),
        ("prob", "Softmax", ["fc"]),
    ]
    assert list(net.layer[0].top) == ["data"]


def test_equal_heads_are_all_kept():
    net = deploy(read_net_text(NET.replace("loss_weight: 0.3", ""), "net").param)
    assert [layer.name for layer in net.layer if layer.type == "Softmax"] == ["aux_prob", "dropped_prob"]


def test_a_loss_only_in_training_still_gives_the_answer():
    text = NET.replace('top: "loss" }', 'top: "loss" include { phase: TRAIN } }').replace(
        "loss_weight: 0.3", "include { phase: TRAIN }"
    )
    net = deploy(read_net_text(text, "net").param)
    assert {layer.name for layer in net.layer if layer.type == "Softmax"} == {"aux_prob", "dropped_prob"}


def test_the_input_shape_may_be_given():
    net = deploy(read_net_text(NET, "net").param, (2, 3, 40, 48))
    assert list(net.layer[0].input_param.shape[0].dim) == [2, 3, 40, 48]


def test_a_net_without_data_says_so():
    text = 'name: "odd" layer { name: "p" type: "Parameter" top: "p" parameter_param { shape { dim: 2 } } }'
    with pytest.raises(CaffeError, match="odd.*no data layer"):
        deploy(read_net_text(text, "net").param)
