"""Slice compared with numpy.split."""

import numpy as np
import pytest
from support.reference import build_error, check_layer


@pytest.mark.parametrize(
    ("text", "shape", "axis", "points"),
    [
        ("slice_point: 1 slice_point: 3", (2, 6, 3), 1, [1, 3]),
        ("", (2, 6, 3), 1, [2, 4]),
        ("axis: -1", (2, 3, 4), 2, [2]),
        ("axis: 0 slice_point: 2", (5,), 0, [2]),
        ("slice_dim: 2 slice_point: 3", (1, 2, 4, 2), 2, [3]),
        ("", (2, 3), 1, []),
    ],
)
def test_matches_numpy_split(text, shape, axis, points):
    x = np.random.default_rng(1).standard_normal(shape)
    check_layer("Slice", f"slice_param {{ {text} }}", [x], lambda x: np.split(x, points, axis), tops=len(points) + 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("axis: 1 slice_dim: 1", "axis or slice_dim, not both"),
        ("axis: 2", "axis 2 is out of range"),
        ("slice_dim: 2", "slice_dim 2 is out of range"),
        ("", "2 tops do not divide an axis of 5 evenly"),
        ("slice_point: 1 slice_point: 2", "2 tops need 1 slice_point, received 2"),
        ("slice_point: 5", "slice_point must increase"),
        ("slice_point: 0", "slice_point must increase"),
    ],
)
def test_invalid_parameters_raise(text, message):
    assert message in build_error("Slice", f"slice_param {{ {text} }}", [(3, 5)], tops=2)
