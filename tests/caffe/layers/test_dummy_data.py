"""DummyData: shapes, fillers, and which tops are refilled."""

import numpy as np
import pytest
from support.layer_nets import net_of

import caffe
from caffe.errors import CaffeError


def net(param, tops=1):
    names = " ".join(f'top: "t{i}"' for i in range(tops))
    return net_of(f'layer {{ name: "d" type: "DummyData" {names} dummy_data_param {{ {param} }} }}')


def test_default_is_zero():
    assert np.array_equal(net("shape { dim: 2 dim: 3 }").forward()["t0"], np.zeros((2, 3)))


def test_constants_are_filled_once_and_others_in_every_forward():
    data_net = net(
        'shape { dim: 50 } data_filler { type: "constant" value: 4 } data_filler { type: "uniform" min: 1 max: 2 }',
        2,
    )
    assert (data_net.blobs["t0"].data == 4).all()
    data_net.forward()
    first = data_net.blobs["t1"].data.copy()
    data_net.blobs["t0"].data[...] = 9
    data_net.forward()
    assert (data_net.blobs["t0"].data == 9).all()
    assert ((data_net.blobs["t1"].data != first).mean() > 0.9) and (abs(data_net.blobs["t1"].data - 1.5) <= 0.5).all()


def test_equal_seeds_give_equal_values():
    def run():
        caffe.set_random_seed(5)
        data_net = net('shape { dim: 5 } data_filler { type: "gaussian" std: 2 }')
        return [data_net.forward()["t0"].copy() for _ in range(3)]

    assert np.array_equal(run(), run())


def test_legacy_shapes_are_given_once_or_per_top():
    data_net = net("num: 5 num: 6 channels: 2 height: 3 height: 1 width: 4", 2)
    assert data_net.blobs["t0"].shape == (5, 2, 3, 4) and data_net.blobs["t1"].shape == (6, 2, 1, 4)


def test_early_view_stays_live():
    data_net = net('shape { dim: 3 } data_filler { type: "gaussian" }')
    view = data_net.blobs["t0"].data
    data_net.forward()
    assert (view != 0).all() and np.array_equal(view, data_net.blobs["t0"].data)


@pytest.mark.parametrize(
    "param, tops, message",
    [
        ("shape { dim: 1 } num: 1", 1, "not both"),
        ("shape { dim: 1 } shape { dim: 2 }", 3, "expected one shape or one per top"),
        ("", 1, "expected one shape"),
        ("num: 1 channels: 1 height: 1", 1, "expected one width"),
        (
            "shape { dim: 1 } " + 'data_filler { type: "constant" } ' * 2,
            3,
            "expected no, one data_filler or one per top",
        ),
        ('shape { dim: 1 } data_filler { type: "gausian" }', 1, "unknown filler 'gausian'"),
        ("shape { dim: 1152921504606846976 }", 1, "invalid blob shape"),
    ],
)
def test_invalid_inputs_raise(param, tops, message):
    with pytest.raises(CaffeError, match=message):
        net(param, tops)
