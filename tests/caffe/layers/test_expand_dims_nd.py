"""ExpandDimsND: shapes and values."""

import numpy as np
import pytest
from support.reference import build_error, check_layer


@pytest.mark.parametrize(
    ("text", "shape"),
    [("axis: 0", (1, 2, 3)), ("axis: 1 axis: 2", (2, 1, 3, 1)), ("axis: -1", (2, 3, 1)), ("axis: -3", (1, 2, 3))],
)
def test_shapes(text, shape):
    x = np.arange(6.0).reshape(2, 3)
    check_layer("ExpandDimsND", f"expand_dims_nd_param {{ {text} }}", [x], lambda x: [x.reshape(shape)])


def test_a_place_out_of_range_is_an_error():
    assert "axis 3 is out of range" in build_error("ExpandDimsND", "expand_dims_nd_param { axis: 3 }", [(2, 3)])
