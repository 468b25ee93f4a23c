"""Offsets of V1 CROP layers, compared with where a single pixel ends up."""

import numpy as np
import pytest

from caffe.errors import CaffeError
from caffe.net.net import Net
from caffe.proto import caffe_pb2
from caffe.proto.read import read_net_text

INPUT = 'input: "data" input_dim: 1 input_dim: 1 input_dim: 20 input_dim: 24\n'


def layers(*rows):
    """Return V1 layers from (name, type, bottoms, parameters)."""
    parts = []
    for name, type_, bottoms, text in rows:
        reads = " ".join(f'bottom: "{bottom}"' for bottom in bottoms)
        parts.append(f'layers {{ name: "{name}" type: {type_} {reads} top: "{name}" {text} }}')
    return INPUT + "\n".join(parts)


def param_of(text):
    return read_net_text(text, "n.prototxt").param


FCN = layers(
    ("conv", "CONVOLUTION", ["data"], "convolution_param { num_output: 1 kernel_size: 3 pad: 10 }"),
    ("relu", "RELU", ["conv"], ""),
    ("pool", "POOLING", ["relu"], "pooling_param { pool: AVE kernel_size: 2 stride: 2 }"),
    ("fc", "CONVOLUTION", ["pool"], "convolution_param { num_output: 1 kernel_size: 5 }"),
    ("up", "DECONVOLUTION", ["fc"], "convolution_param { num_output: 1 kernel_size: 4 stride: 2 bias_term: false }"),
    ("score", "CROP", ["up", "data"], ""),
)


def test_the_center_of_gravity_of_a_pixel_does_not_move():
    net = Net.from_param(param_of(FCN), caffe_pb2.TEST)
    for blobs in net.params.values():
        blobs[0].data[...] = 1
    net.blobs["data"].data[0, 0, 9, 13] = 1
    found = net.forward()["score"][0, 0]
    assert found.shape == (20, 24)
    rows, columns = np.indices(found.shape)
    center = [(found * places).sum() / found.sum() for places in (rows, columns)]
    # pixels 8 and 12 to 9 and 13 are one value of the pooling: half a pixel of the place is lost
    np.testing.assert_allclose(center, [9, 13], atol=0.51)


def test_offsets_are_those_of_fcn():
    (crop,) = [layer for layer in param_of(FCN).layer if layer.type == "Crop"]
    # by hand: conv adds 10 - 1, pooling maps x to x / 2 - 1 / 4, fc moves by -2, up maps x to 2 x + 1.5
    assert list(crop.crop_param.offset) == [2 * ((9 / 2 - 0.25) - 2) + 1.5] * 2


def test_two_branches_meet_where_they_part():
    text = layers(
        ("a", "CONVOLUTION", ["data"], "convolution_param { num_output: 1 kernel_size: 3 pad: 4 }"),
        ("b", "CONVOLUTION", ["a"], "convolution_param { num_output: 1 kernel_size: 5 }"),
        ("crop", "CROP", ["a", "b"], ""),
    )
    assert list(param_of(text).layer[-1].crop_param.offset) == [2, 2]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (
            [("conv", "CONVOLUTION", ["data"], "convolution_param { num_output: 1 kernel_size: 3 }")],
            "offsets are (-1, -1)",
        ),
        ([("conv", "INNER_PRODUCT", ["data"], "inner_product_param { num_output: 1 }")], "no path of convolutions"),
        ([("conv", "POOLING", ["data"], "pooling_param { kernel_size: 2 stride: 2 }")], "no path of convolutions"),
    ],
)
def test_bottoms_that_do_not_fit_are_errors(rows, reason):
    file = read_net_text(layers(*rows, ("crop", "CROP", ["conv", "data"], "")), "n.prototxt")
    with pytest.raises(CaffeError) as caught:
        Net.from_param(file.param, caffe_pb2.TEST, where=file.where, build_only=True)
    assert str(caught.value).startswith("n.prototxt:3: layer 'crop' (Crop): 'conv' cannot be aligned with 'data'")
    assert reason in str(caught.value)


def test_v2_keeps_offset_0_with_a_warning(capsys):
    text = """input: "data" input_dim: 1 input_dim: 1 input_dim: 20 input_dim: 24
    layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 1 kernel_size: 3 pad: 5 } }
    layer { name: "crop" type: "Crop" bottom: "conv" bottom: "data" top: "crop" }"""
    param = param_of(text)
    assert not param.layer[-1].HasField("crop_param")
    assert "crop_param { offset: 4 offset: 4 }" in capsys.readouterr().err
    param_of(text.replace('"crop" }', '"crop" crop_param { offset: 0 } }'))
    assert "offset" not in capsys.readouterr().err
