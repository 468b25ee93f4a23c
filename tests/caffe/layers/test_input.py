"""Input: one shape for all tops or one per top; data and shapes set by the user persist."""

import numpy as np
import pytest
from support.layer_nets import net_of

from caffe.errors import CaffeError


def build_net(shapes, tops="ab"):
    names = " ".join(f'top: "{t}"' for t in tops)
    shapes = " ".join("shape {{ {} }}".format(" ".join(f"dim: {d}" for d in s)) for s in shapes)
    return net_of(f'layer {{ name: "in" type: "Input" {names} input_param {{ {shapes} }} }}')


def test_shapes():
    assert [b.shape for b in build_net([(2, 3)]).blobs.values()] == [(2, 3), (2, 3)]
    assert [b.shape for b in build_net([(2, 3), (5,)]).blobs.values()] == [(2, 3), (5,)]
    with pytest.raises(CaffeError, match=r"no shape, one, or one per top \(2\); received 3"):
        build_net([(1,), (2,), (3,)])


def test_values_and_reshapes_persist():
    net = build_net([(2, 3)], "a")
    assert net.inputs == ["a"] and (net.blobs["a"].data == 0).all()
    net.blobs["a"].data[...] = 7
    assert (net.forward()["a"] == 7).all()
    net.blobs["a"].reshape(4, 1)
    net.reshape()
    net.blobs["a"].data[...] = np.arange(4).reshape(4, 1)
    assert np.array_equal(net.forward()["a"].ravel(), [0, 1, 2, 3])
