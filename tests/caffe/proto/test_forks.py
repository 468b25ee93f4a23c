"""Fields of forks: all are parsed; hints, implemented fields and errors."""

import pytest
from support.external_data import FORK_CASES as CASES
from support.external_data import needs_shared

from caffe.errors import CaffeError
from caffe.net.net import Net
from caffe.proto import caffe_pb2, fork_fields
from caffe.proto.read import read_net, read_net_text
from caffe.weights.snapshot import read_weights


def layer(text):
    return read_net_text("layer { " + text + " }", "net.prototxt").param.layer[0]


@needs_shared
@pytest.mark.parametrize("path", sorted(CASES.glob("*.prototxt")), ids=lambda path: path.stem)
def test_nets_of_forks_are_parsed(path):
    assert read_net(path).param.layer


@needs_shared
@pytest.mark.parametrize("path", sorted((CASES / "binary").glob("*.caffemodel")), ids=lambda path: path.stem)
def test_weights_of_forks_are_read(path):
    weight, bias = read_weights(path)["conv1"]
    assert (weight.shape, bias.shape) == ((4, 3, 3, 3), (4,))
    assert (float(weight.astype("f8").sum()), float(bias.astype("f8").sum())) == (-0.75, -0.75)


@needs_shared
@pytest.mark.parametrize("name", ["nv15", "nv16_as_trained", "nv17_as_trained"])
def test_weights_of_nvcaffe_fit_its_net(name):
    net = Net.from_param(read_net(CASES / "nvcaffe_bn_weights.prototxt").param, caffe_pb2.TEST, build_only=True)
    net.copy_from(CASES / "binary" / f"{name}.caffemodel")
    assert len(net.params["bn"]) == 5
    assert float(net.params["bn"][3].data.sum()) == -0.75


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('type: "Pooling" pooling_param { ceil_mode: false pool: AVE_EXC_PAD }', []),
        ('type: "Convolution" convolution_param { engine: MKL2017 conv_algorithm: "auto" }', []),
        ('type: "Pooling" pooling_param { saturate: Signed }', ["PoolingParameter.saturate"]),
        ('type: "Pooling" pooling_param { input_scale: 1 }', []),  # the default
        ('type: "Pooling" pooling_param { pool: LOWRES }', ["pool: LOWRES"]),
        ('type: "Convolution" convolution_param { fuse_type: FUSED_CONV_RELU }', ["fuse_type (OpenCL Caffe)"]),
        ('type: "Data" transform_param { vertical_stretch_lower: 0.9 }', []),
        ('type: "Data" transform_param { crop_h: 9 }', ["crop_h"]),
        ('type: "X" something_param { a: 1 }', ["unknown field LayerParameter.something_param (line 1)"]),
        ('type: "X" image_xy_data_param { }', ["unknown field LayerParameter.image_xy_data_param (line 1)"]),
        ('type: "X" cpm_transform_param { }', ["unknown field LayerParameter.cpm_transform_param (line 1)"]),
        ('type: "X" convolution9d_param { }', ["unknown field LayerParameter.convolution9d_param (line 1)"]),
        ('type: "Data" data_param { new_thing { a: 1 } }', ["unknown field DataParameter.new_thing (line 1)"]),
    ],
)
def test_fields_that_change_a_net_are_errors(text, words):
    refused = fork_fields.refused(layer(text))
    assert len(refused) == len(words)
    for line, word in zip(refused, words):
        assert word in line


def test_quantization_is_a_hint_except_in_ristrettos_layers():
    assert fork_fields.is_hint("LayerParameter", "quantization_param", "Convolution")
    assert not fork_fields.is_hint("LayerParameter", "quantization_param", "FcRistretto")


def test_augmentation_is_an_error_in_training():
    stretched = layer('type: "Data" transform_param { vertical_stretch_lower: 0.9 }')
    assert "vertical_stretch_lower (NVCaffe)" in fork_fields.refused(stretched, training=True)[0]


def test_typing_errors_are_errors_of_the_file():
    for text in ("convolutoin_param { }", "convolution_param { num_outptu: 3 }"):
        with pytest.raises(CaffeError, match="has no field.*did you mean"):
            layer(text)


def test_all_unknown_types_are_listed_with_counts():
    text = "".join(f'layer {{ name: "{n}" type: "DenseCRF" top: "{n}" }}\n' for n in "abc")
    text += 'layer { name: "d" type: "Unheard" bottom: "a" top: "d" }'
    file = read_net_text(text, "net.prototxt")
    with pytest.raises(CaffeError) as caught:
        Net.from_param(file.param, caffe_pb2.TEST, where=file.where, build_only=True)
    assert str(caught.value).splitlines() == [
        "net.prototxt:1: layer 'a' and 2 more (DenseCRF): layer type 'DenseCRF' (a dense conditional random field; "
        "DeepLab, PSPNet) is not implemented",
        "net.prototxt:4: layer 'd' (Unheard): unknown layer type 'Unheard'",
    ]
    assert caught.value.layers == ["a", "b", "c", "d"]


V1 = """layers { name: "fc" type: INNER_PRODUCT bottom: "data" top: "fc" inner_product_param { num_output: 2 } }
layers { name: "own" type: MULTI_SOFTMAX bottom: "fc" top: "own" }"""


def test_types_of_forks_in_old_nets_are_unknown_layer_types():
    net = read_net_text(V1, "net.prototxt").param
    assert [layer.type for layer in net.layer] == ["InnerProduct", "MultiSoftmax"]
    with pytest.raises(CaffeError, match="layer 'own' \\(MultiSoftmax\\): unknown layer type 'MultiSoftmax'"):
        Net.from_param(read_net_text('input: "data" input_shape { dim: 1 dim: 3 } ' + V1, "n").param, caffe_pb2.TEST)


def test_types_of_old_nets_that_are_no_names_are_errors():
    with pytest.raises(CaffeError, match="V1LayerParameter.type: unknown value softmax"):
        read_net_text(V1.replace("MULTI_SOFTMAX", "softmax"), "net.prototxt")


def test_deeplab():
    text = """layers { name: "loss" type: SOFTMAX_LOSS bottom: "x" bottom: "y" top: "loss" strict_dim: false
              softmaxloss_param { ignore_label: 255 %s } }"""
    layer = read_net_text(text % "", "net.prototxt").param.layer[0]
    assert layer.loss_param.ignore_label == 255 and fork_fields.refused(layer) == []
    layer = read_net_text(text % 'weight_source: "w.txt"', "net.prototxt").param.layer[0]
    assert fork_fields.refused(layer) == ["unknown field SoftmaxLossParameter.weight_source"]


def test_post_processing_of_openpose_is_an_unknown_layer_type():
    text = 'layer { name: "r" type: "ImResize" bottom: "x" top: "r" imresize_param { factor: 8 start_scale: 1 } }'
    assert read_net_text(text, "net.prototxt").param.layer[0].imresize_param.factor == 8
