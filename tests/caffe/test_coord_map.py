"""coord_map: maps and crops, also checked by running a net on a single pixel."""

import numpy as np
import pytest

import caffe
from caffe import layers as L
from caffe import params as P
from caffe.coord_map import (
    AxisMismatchException,
    UndefinedMapException,
    compose,
    coord_map,
    coord_map_from_to,
    crop,
    inverse,
)


def spec(ks=3, stride=1, pad=0, pool=2, dstride=2, dpad=0):
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[2, 1, 100, 100]))
    n.aux = L.Input(shape=dict(dim=[2, 1, 20, 20]))
    n.conv = L.Convolution(n.data, num_output=10, kernel_size=ks, stride=stride, pad=pad)
    n.pool = L.Pooling(n.conv, pool=P.Pooling.MAX, kernel_size=pool, stride=pool)
    n.deconv = L.Deconvolution(n.pool, num_output=10, kernel_size=2 * np.array(dstride), stride=dstride, pad=dpad)
    return n


def deconv_to_data(n):
    return coord_map_from_to(n.deconv, n.data)


def test_convolution_pooling_deconvolution():
    assert deconv_to_data(spec()) == (1, 1, 0)
    assert deconv_to_data(spec(pool=4, dstride=4)) == (1, 1, -1)


@pytest.mark.parametrize("pad", [1, 4, 9])
def test_padding_shifts_the_map(pad):
    assert deconv_to_data(spec(pad=pad)) == (1, 1, -pad)
    assert deconv_to_data(spec(dpad=pad)) == (1, 1, pad)
    assert deconv_to_data(spec(pad=pad, dpad=pad)) == (1, 1, 0)


def test_pointwise_layers_keep_the_map():
    n = spec()
    n.relu = L.ReLU(n.deconv)
    n.same = L.Convolution(n.relu, num_output=10, kernel_size=1)
    assert coord_map_from_to(n.same, n.data) == coord_map_from_to(n.relu, n.data) == deconv_to_data(n)
    assert coord_map_from_to(n.data, n.data) == (None, 1, 0)


def test_all_bottoms_have_the_same_map():
    n = spec()
    n.a, n.b = L.Convolution(n.data, n.aux, ntop=2, num_output=10, kernel_size=5, stride=2)
    assert coord_map_from_to(n.a, n.data) == coord_map_from_to(n.b, n.aux)


def test_rectangular_kernels_are_mapped_per_side():
    _, a, b = deconv_to_data(spec(ks=[3, 5], stride=[1, 2], pad=[0, 10]))
    for i, side in enumerate((spec(3, 1, 0), spec(5, 2, 10))):
        _, a1, b1 = deconv_to_data(side)
        assert (a[i], b[i]) == (a1, b1)


def test_crop_and_dilation():
    n = spec()
    n.crop = L.Crop(n.deconv, n.data, axis=2, offset=7)
    assert coord_map_from_to(n.crop, n.data) == (1, 1, 7)
    n.atrous = L.Convolution(n.data, num_output=1, kernel_size=3, dilation=4)
    n.wide = L.Convolution(n.data, num_output=1, kernel_size=9)
    assert coord_map_from_to(n.atrous, n.data) == coord_map_from_to(n.wide, n.data)
    assert coord_map_from_to(n.wide, n.atrous) == (1, 1, 0)


def test_crop_returns_the_layer_that_aligns():
    n = spec(pad=5)
    aligned = crop(n.deconv, n.data)
    assert aligned.fn.type_name == "Crop" and aligned.fn.params["crop_param"] == {"axis": 2, "offset": [5]}
    n.out = aligned
    assert n.to_proto().layer[-1].crop_param.offset == [5]


def test_map_agrees_with_a_running_net(tmp_path):
    """A pixel sent through a stride-2 convolution and back ends at the deconv_to_data coordinate."""
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 1, 15, 15]))
    ones = dict(weight_filler=dict(type="constant", value=1))
    n.conv = L.Convolution(n.data, num_output=1, kernel_size=3, pad=2, stride=2, **ones)
    n.up = L.Deconvolution(n.conv, num_output=1, kernel_size=3, stride=2, **ones)
    _, scale, shift = coord_map_from_to(n.up, n.data)
    assert scale == 1
    path = tmp_path / "n.prototxt"
    path.write_text(str(n.to_proto()))
    net = caffe.Net(str(path), caffe.TEST)
    net.blobs["data"].data[0, 0, 7, 7] = 1
    net.forward()
    rows = np.nonzero(net.blobs["up"].data[0, 0].sum(0))[0]
    assert (rows[0] + rows[-1]) / 2 == 7 - shift


def test_undefined_maps():
    n = spec()
    n.ip = L.InnerProduct(n.deconv, num_output=10)
    with pytest.raises(RuntimeError, match="Could not compute map"):
        coord_map_from_to(n.ip, n.data)
    with pytest.raises(UndefinedMapException):
        coord_map(n.ip.fn)
    with pytest.raises(AxisMismatchException):
        compose((1, 1, 0), (2, 1, 0))
    assert compose(inverse((1, 2.0, 3.0)), (1, 2.0, 3.0)) == (1, 1.0, 0.0)


@pytest.mark.parametrize(
    "n, message",
    [(spec(pool=3), "scale mismatch"), (spec(dpad=10), "negative offset"), (spec(ks=4, pad=2), "noninteger offset")],
)
def test_impossible_crops(n, message):
    with pytest.raises(AssertionError, match=message):
        crop(n.deconv, n.data)


def test_legacy_kernel_fields_raise():
    with pytest.raises(AssertionError, match="legacy"):
        coord_map(L.Convolution(L.Input(), kernel_h=3, kernel_w=2).fn)
