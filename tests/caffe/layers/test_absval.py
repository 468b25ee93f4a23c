"""AbsVal: |x|, gradient sign(x), not in place."""

import numpy as np
import pytest
from support.layer_nets import net_of, run_layer

from caffe.errors import CaffeError


def test_value_and_gradient():
    x = np.array([[-2.5, 0, 1e-8], [-0.0, 3, -1e9]], np.float32)
    dy = np.array([[1, 2, 3], [4, 5, -6]], np.float32)
    run = run_layer("AbsVal", "", x, diffs=[dy])
    assert np.array_equal(run.tops[0], np.array([[2.5, 0, 1e-8], [0, 3, 1e9]], np.float32))
    assert np.array_equal(run.diffs[0], [[-1, 0, 3], [0, 5, 6]])


def test_in_place_raises():
    with pytest.raises(CaffeError, match=r"net.prototxt:2.*AbsVal cannot work in place.*'x'"):
        net_of(
            'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 } } }\n'
            'layer { name: "a" type: "AbsVal" bottom: "x" top: "x" }'
        )
