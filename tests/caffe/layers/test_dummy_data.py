"""DummyData: shapes, fillers, and which tops are filled again."""

import numpy as np
import pytest
from support.layer_nets import net_of

import caffe
from caffe.errors import CaffeError


def net(param, tops=1):
    names = " ".join('top: "t%d"' % i for i in range(tops))
    return net_of(f'layer {{ name: "d" type: "DummyData" {names} dummy_data_param {{ {param} }} }}')


def test_without_a_filler_it_is_zero():
    assert np.array_equal(net("shape { dim: 2 dim: 3 }").forward()["t0"], np.zeros((2, 3)))


def test_a_constant_is_filled_once_and_others_each_time():
    made = net(
        'shape { dim: 50 } data_filler { type: "constant" value: 4 } data_filler { type: "uniform" min: 1 max: 2 }',
        2,
    )
    assert (made.blobs["t0"].data == 4).all()
    made.forward()
    first = made.blobs["t1"].data.copy()
    made.blobs["t0"].data[...] = 9
    made.forward()
    assert (made.blobs["t0"].data == 9).all()
    assert ((made.blobs["t1"].data != first).mean() > 0.9) and (abs(made.blobs["t1"].data - 1.5) <= 0.5).all()


def test_a_seed_repeats_it():
    def run():
        caffe.set_random_seed(5)
        made = net('shape { dim: 5 } data_filler { type: "gaussian" std: 2 }')
        return [made.forward()["t0"].copy() for _ in range(3)]

    assert np.array_equal(run(), run())


def test_legacy_shapes_stand_once_or_once_a_top():
    made = net("num: 5 num: 6 channels: 2 height: 3 height: 1 width: 4", 2)
    assert made.blobs["t0"].shape == (5, 2, 3, 4) and made.blobs["t1"].shape == (6, 2, 1, 4)


def test_a_view_taken_early_stays_live():
    made = net('shape { dim: 3 } data_filler { type: "gaussian" }')
    view = made.blobs["t0"].data
    made.forward()
    assert (view != 0).all() and np.array_equal(view, made.blobs["t0"].data)


@pytest.mark.parametrize(
    "param, tops, said",
    [
        ("shape { dim: 1 } num: 1", 1, "not both"),
        ("shape { dim: 1 } shape { dim: 2 }", 3, "shape must be given once or once a top"),
        ("", 1, "shape must be given"),
        ("num: 1 channels: 1 height: 1", 1, "width must be given"),
        (
            "shape { dim: 1 } " + 'data_filler { type: "constant" } ' * 2,
            3,
            "data_filler must be given never, once",
        ),
        ('shape { dim: 1 } data_filler { type: "gausian" }', 1, "unknown filler 'gausian'"),
        ("shape { dim: 1152921504606846976 }", 1, "refused"),
    ],
)
def test_faults(param, tops, said):
    with pytest.raises(CaffeError, match=said):
        net(param, tops)
