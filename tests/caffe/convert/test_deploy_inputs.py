"""What `deploy` makes of a Softmax with a label, of unknown types, and of data layers without a database."""

import h5py
import numpy as np
import pytest

from caffe.convert.deploy import deploy
from caffe.errors import CaffeError
from caffe.net.net import Net
from caffe.proto import caffe_pb2
from caffe.proto.read import read_net_text
from caffe.utils import faults

IP = 'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 4 } }\n'


def deployed(text, shape=None):
    return list(deploy(read_net_text(text).param, shape).layer)


@pytest.mark.parametrize("top, name", [("", "prob"), ('top: "answer"', "answer")])
def test_a_softmax_with_a_label_stays(top, name, capsys):
    layers = deployed(
        'input: "data" input_dim: 1 input_dim: 3 input_dim: 20 input_dim: 20\n' + IP
        + f'layer {{ name: "loss" type: "Softmax" bottom: "ip" bottom: "label" {top} }}'
    )  # fmt: skip
    assert [layer.type for layer in layers] == ["Input", "InnerProduct", "Softmax"]
    assert list(layers[-1].bottom) == ["ip"] and list(layers[-1].top) == [name]
    assert "bottom 'label' is dropped" in capsys.readouterr().err


def test_every_unknown_type_is_named():
    net = deploy(read_net_text(
        'input: "data" input_dim: 1 input_dim: 3 input_dim: 4 input_dim: 4\n'
        'layer { name: "s" type: "DomainTransform" bottom: "data" top: "a" }\n'
        'layer { name: "c" type: "Convolutoin" bottom: "a" top: "c" }\n'
        'layer { name: "q" type: "Elsewhere" bottom: "c" top: "d" include { stage: "other" } }\n'
    ).param)  # fmt: skip
    with pytest.raises(CaffeError) as error:
        Net.from_param(net, caffe_pb2.TEST, build_only=True)
    lines = str(error.value).splitlines()
    assert len(lines) == 2
    assert "layer 's' (DomainTransform)" in lines[0] and "DeepLab" in lines[0]
    assert lines[1].endswith("'Convolutoin'; did you mean 'Convolution'?")


@pytest.mark.parametrize(
    "layer_type, hint",
    [("softmaxwithloss", "'SoftmaxWithLoss'"), ("Permutation", ""), ("Relu", "'ReLU'"), ("DenseCRF", "DeepLab")],
)
def test_hints(layer_type, hint):
    text = faults.unknown_type(layer_type, ["SoftmaxWithLoss", "Parameter", "ReLU", "PReLU", "Deconvolution"])
    assert hint in text and text.startswith(("unknown layer type", "layer type"))
    assert hint or text == "unknown layer type 'Permutation'"


@pytest.mark.parametrize(
    "param, shape, expected",
    [
        ("shape { dim: 4 dim: 3 dim: 32 dim: 16 }", None, [1, 3, 32, 16]),
        ("shape { dim: 4 dim: 3 dim: 32 dim: 16 }", (2, None, None, None), [2, 3, 32, 16]),
        ("shape { dim: 4 dim: 3 dim: 32 dim: 16 }", (1, None, 8, 9), [1, 3, 8, 9]),
        ("shape { dim: 4 dim: 7 }", (1, None, None, None), [1, 7]),
        ("num: 5 channels: 2 height: 3 width: 4", None, [1, 2, 3, 4]),
    ],
)
def test_dummy_data(param, shape, expected):
    layers = deployed(
        f'layer {{ name: "data" type: "DummyData" top: "data" dummy_data_param {{ {param} }} }}\n' + IP, shape
    )
    assert list(layers[0].input_param.shape[0].dim) == expected


def test_hdf5_data(tmp_path, capsys):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = np.zeros((5, 2, 3, 4), np.float32)
    (tmp_path / "list").write_text(f"{tmp_path}/a.h5\n")
    text = 'layer {{ name: "data" type: "HDF5Data" top: "data" hdf5_data_param {{ source: "{}/{}" }} }}\n'
    layers = deployed(text.format(tmp_path, "list") + IP)
    assert list(layers[0].input_param.shape[0].dim) == [1, 2, 3, 4]
    layers = deployed(text.format(tmp_path, "none") + IP)
    assert list(layers[0].input_param.shape[0].dim) == [1, 3, 224, 224]
    assert "-is W H" in capsys.readouterr().err


def test_data_of_test_that_need_a_stage():
    """As in examples/mnist/mnist_autoencoder.prototxt: TEST's data layers have stages, so TRAIN's gives the shape."""
    data = (
        'layer {{ name: "data" type: "DummyData" top: "data" include {{ {} }} '
        "dummy_data_param {{ shape {{ dim: 2 dim: {} }} }} }}\n"
    )
    layers = deployed(
        data.format("phase: TRAIN", 6) + data.format('phase: TEST stage: "a"', 7) + IP
        + 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" }'
    )  # fmt: skip
    assert [layer.type for layer in layers] == ["Input", "InnerProduct", "Softmax"]
    assert list(layers[0].input_param.shape[0].dim) == [1, 6]


@pytest.mark.parametrize(
    "layer",
    [
        'layer { name: "data" type: "Input" top: "data" }',
        'input: "data"',
    ],
)
def test_a_net_without_an_input_shape(layer, capsys):
    assert list(deployed(layer + "\n" + IP)[0].input_param.shape[0].dim) == [1, 3, 224, 224]
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("W")]
    assert len(warnings) == 1 and "-is W H" in warnings[0]
    layers = deployed(layer + "\n" + IP, (1, None, 6, 5))
    assert [(layer.type, list(layer.top)) for layer in layers] == [("Input", ["data"]), ("InnerProduct", ["ip"])]
    assert list(layers[0].input_param.shape[0].dim) == [1, 3, 6, 5]


@pytest.mark.parametrize(
    "layer",
    [
        'layer { name: "data" type: "ImageData" top: "data" image_data_param { source: "x" } }',
        'layer { name: "data" type: "Data" top: "data" data_param { source: "/none" } }',
        'layer { name: "data" type: "Python" top: "data" python_param { module: "m" layer: "L" } }',
        'layer { name: "data" type: "WindowData" top: "data" window_data_param { source: "x" } }',
    ],
)
def test_a_data_layer_without_an_image_size(layer, capsys):
    assert list(deployed(layer + "\n" + IP)[0].input_param.shape[0].dim) == [1, 3, 224, 224]
    warning = capsys.readouterr().err
    assert "-is W H" in warning and len(warning.splitlines()) == 1
    layers = deployed(layer + "\n" + IP, (1, None, 6, 5))
    assert [(layer.type, list(layer.top)) for layer in layers] == [("Input", ["data"]), ("InnerProduct", ["ip"])]
    assert list(layers[0].input_param.shape[0].dim) == [1, 3, 6, 5]


FRAMES = """layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 dim: 6 dim: 5 } } }
layer { name: "split" type: "%s" bottom: "data" top: "a" %s }
layer { name: "ip" type: "InnerProduct" bottom: "a" top: "ip" inner_product_param { num_output: 2 } }
"""


@pytest.mark.parametrize(
    "layer",
    [
        ("Slice", 'top: "b" slice_param { axis: 0 slice_point: 2 }'),
        ("Reshape", "reshape_param { shape { dim: -1 dim: 4 dim: 18 dim: 5 } }"),  # 4 frames side by side
    ],
)
def test_a_net_that_combines_the_items_of_a_batch_keeps_its_batch_size(layer, capsys):
    param = deploy(read_net_text(FRAMES % layer, "net").param, (1, None, None, None))
    assert list(param.layer[0].input_param.shape[0].dim) == [4, 3, 6, 5]
    assert "keeps its batch size of 4" in capsys.readouterr().err
    Net.from_param(param, caffe_pb2.TEST, build_only=True)


def test_evaluation_left_over_in_a_deploy_file():
    text = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 4 } } }\n' + IP
    layers = deployed(text + 'layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" }')
    assert [layer.type for layer in layers] == ["Input", "InnerProduct"]


def test_an_input_with_a_loss_and_another_batch_size():
    text = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 8 dim: 4 dim: 2 dim: 2 } } }\n'
    loss = 'layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "ip" top: "loss" }'
    layers = deployed(text + IP + loss, (1, None, None, None))
    assert [layer.type for layer in layers] == ["Input", "InnerProduct"]
    assert list(layers[0].input_param.shape[0].dim) == [1, 4, 2, 2]


def test_a_training_net_of_pairs_keeps_its_batch_size(capsys):
    data = 'layer { name: "data" type: "Data" top: "data" data_param { source: "/none" batch_size: 6 } }\n'
    pairs = (
        'layer { name: "pairs" type: "Slice" bottom: "ip" top: "a" top: "b" slice_param { axis: 0 slice_point: 3 } }\n'
    )
    loss = 'layer { name: "loss" type: "EuclideanLoss" bottom: "a" bottom: "b" top: "loss" }'
    layers = deployed(data + IP + pairs + loss, (1, None, None, None))
    assert list(layers[0].input_param.shape[0].dim) == [6, 3, 224, 224]
    assert "keeps its batch size of 6" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "layer", "expected"),
    [
        ('type: "MemoryData" memory_data_param { batch_size: 6 channels: 1 height: 4 width: 5 }',
         'type: "Slice" bottom: "data" top: "x" top: "y" slice_param { axis: 0 slice_point: 3 }', [6, 1, 4, 5]),
        ('type: "VideoData" video_data_param { modality: RGB batch_size: 2 new_length: 4 new_height: 6 new_width: 5 }',
         'type: "Reshape" bottom: "data" top: "x" reshape_param { shape { dim: 2 dim: 3 dim: 4 dim: 6 dim: 5 } }',
         [2, 12, 6, 5]),
        ('type: "CPMData" data_param { batch_size: 2 }',
         'type: "Slice" bottom: "data" top: "x" top: "y" slice_param { axis: 1 slice_point: 3 }', [1, 4, 224, 224]),
        ('type: "BoxData" data_param { batch_size: 2 }', 'type: "ReLU" bottom: "data" top: "x"', [1, 3, 448, 448]),
    ],
)  # fmt: skip
def test_the_layers_that_read_the_data_say_more_about_its_shape(data, layer, expected):
    ip = 'layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 2 } }'
    text = f'layer {{ name: "data" top: "data" {data} }}\nlayer {{ name: "l" {layer} }}\n{ip}\n'
    loss = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" }'
    layers = deployed(text + loss, (1, None, None, None))
    assert list(layers[0].input_param.shape[0].dim) == expected


def test_images_of_hdf5_have_one_channel_if_the_layers_allow_no_other(capsys):
    net = """layer { name: "data" type: "HDF5Data" top: "data" top: "label" hdf5_data_param { source: "none" batch_size: 2 } }
    layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 1 kernel_size: 3 pad: 1 } }
    %s layer { name: "loss" type: "EuclideanLoss" bottom: "%s" bottom: "label" }"""
    total = 'layer { name: "sum" type: "Eltwise" bottom: "data" bottom: "c" top: "sum" }'
    assert list(deployed(net % (total, "sum"))[0].input_param.shape[0].dim) == [1, 1, 224, 224]
    assert "1 channel is used" in capsys.readouterr().err
    assert list(deployed(net % ("", "c"))[0].input_param.shape[0].dim) == [1, 3, 224, 224]


def test_regions_of_four_numbers_get_the_item(capsys):
    net = """input: "data" input_shape { dim: [1, 3, 8, 8] } input: "rois" input_shape { dim: [2, 4] }
    layer { name: "p" type: "ROIPooling" bottom: "data" bottom: "rois" top: "p" roi_pooling_param { pooled_h: 2 pooled_w: 2 } }"""
    assert [list(shape.dim) for shape in deployed(net)[0].input_param.shape] == [[1, 3, 8, 8], [2, 5]]
    assert "input 'rois': regions are rows of 5 numbers" in capsys.readouterr().err
    assert list(deployed(net.replace("ROIPooling", "Concat"))[0].input_param.shape[1].dim) == [2, 4]


def test_an_input_that_no_layer_reads_is_left_out(capsys):
    inputs = 'input: "size" input_shape { dim: [1, 2] } input: "data" input_shape { dim: [1, 4] }\n'
    layers = deployed(inputs + IP)
    assert [list(layer.top) for layer in layers] == [["data"], ["ip"]]
    assert [list(shape.dim) for shape in layers[0].input_param.shape] == [[1, 4]]
    assert "no layer reads its input size" in capsys.readouterr().err
    assert list(deployed(inputs)[0].top) == ["size", "data"]
