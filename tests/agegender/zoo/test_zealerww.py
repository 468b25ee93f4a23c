"""zealerww's nets: TensorFlow's sizes and LRN, SELU by its formula, frozen layers, the center crop."""

import numpy as np
import pytest

from agegender import zoo
from agegender.zoo import assemble
from caffe.net.net import Net
from caffe.proto import caffe_pb2


def shapes(name):
    return {blob: tuple(array.shape)[1:] for blob, array in assemble.deploy_net(zoo.nets()[name]).blobs.items()}


@pytest.mark.parametrize("name", ["zealerww-paper", "zealerww-selu", "zealerww-leaky", "zealerww-batchnorm"])
def test_paper_net_has_tensorflow_sizes(name):
    shape_of = shapes(name)
    assert shape_of["data"] == (3, 192, 192) and shape_of["conv1"] == (96, 47, 47)
    assert [shape_of[f"pool{i}"] for i in (1, 2, 3)] == [(96, 23, 23), (256, 11, 11), (384, 5, 5)]
    assert [shape_of[f"fc{i}"] for i in (4, 5, 6)] == [(512,), (512,), (2,)]


def test_resnet_downsamples_in_every_stage():
    shape_of = shapes("zealerww-resnet")
    assert shape_of["pool1"] == (32, 95, 95) and shape_of["pool2"] == (64, 46, 46)
    for stage, blocks, channels, side in ((1, 3, 256, 23), (2, 4, 512, 12), (3, 6, 1024, 6)):
        for letter in "abcdef"[:blocks]:
            assert shape_of[f"res{stage}{letter}"] == (channels, side, side)
        assert f"res{stage}{'abcdefg'[blocks]}" not in shape_of
    types = [layer.type for layer in zoo.nets()["zealerww-resnet"].body().layer]
    assert types.count("BatchNorm") == 3 * 13 + 3  # after every convolution of the blocks and projections


def run(name, layer_name, bottom):
    """Output of one layer of a net for `bottom`, from a net of that layer alone."""
    layer = next(layer for layer in zoo.nets()[name].body().layer if layer.name == layer_name)
    param = caffe_pb2.NetParameter()
    data = param.layer.add(type="Input", name="x", top=["x"])
    data.input_param.shape.add().dim.extend(bottom.shape)
    param.layer.add().CopyFrom(layer)
    param.layer[1].bottom[:] = ["x"]
    param.layer[1].top[:] = ["y"]
    net = Net.from_param(param, caffe_pb2.TEST)
    net.blobs["x"].data[...] = bottom
    net.forward()
    return np.array(net.blobs["y"].data)


def test_lrn_equals_tensorflow():
    """Radius 5, bias 1, alpha 1e-4 times the plain sum of squares, beta 0.5."""
    x = np.random.default_rng(0).normal(0, 60, (1, 96, 2, 3)).astype(np.float32)
    expected = np.empty_like(x)
    for c in range(96):
        squares = (x[:, max(0, c - 5) : c + 6].astype(np.float64) ** 2).sum(1)
        expected[:, c] = x[:, c] / (1 + 1e-4 * squares) ** 0.5
    assert np.abs(expected - x).max() > 1
    np.testing.assert_allclose(run("zealerww-paper", "norm1", x), expected, rtol=1e-5)


def test_selu_and_leaky_relu():
    x = np.linspace(-3, 3, 25, dtype=np.float32).reshape(1, 1, 5, 5)
    y = run("zealerww-selu", "selu1", run("zealerww-selu", "elu1", x))
    np.testing.assert_allclose(y, 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)), rtol=1e-5)
    np.testing.assert_allclose(run("zealerww-leaky", "relu1", x), np.where(x > 0, x, x / 2), rtol=1e-6)


def test_vgg_face_is_frozen_below_the_new_layers():
    layers = zoo.nets()["zealerww-vggface"].body().layer
    rates = {layer.name: {spec.lr_mult for spec in layer.param} for layer in layers if layer.param}
    assert {name for name, rate in rates.items() if rate == {0}} == {
        f"conv{group}_{i + 1}" for group, count in enumerate((2, 2, 3, 3, 3), 1) for i in range(count)
    }
    assert {name for name, rate in rates.items() if rate != {0}} == {"fc4", "fc5", "fc6"}
    assert shapes("zealerww-vggface")["pool5"] == (512, 7, 7)


def test_transform_takes_the_center_crop():
    """Offset 17 from 227 to 192; the experiments used 14."""
    image = np.random.default_rng(0).integers(0, 256, (227, 227, 3), np.uint8)
    blob = zoo.nets()["zealerww-paper"].transform().image(image)
    np.testing.assert_allclose(blob, image[17:209, 17:209].transpose(2, 0, 1) / 255, rtol=1e-6)
