"""Slice against NumPy's own split."""

import numpy as np
import pytest
from support.reference import hold, refusal


@pytest.mark.parametrize(
    ("text", "shape", "axis", "cuts"),
    [
        ("slice_point: 1 slice_point: 3", (2, 6, 3), 1, [1, 3]),
        ("", (2, 6, 3), 1, [2, 4]),
        ("axis: -1", (2, 3, 4), 2, [2]),
        ("axis: 0 slice_point: 2", (5,), 0, [2]),
        ("slice_dim: 2 slice_point: 3", (1, 2, 4, 2), 2, [3]),
        ("", (2, 3), 1, []),
    ],
)
def test_equals_numpys_split(text, shape, axis, cuts):
    x = np.random.default_rng(1).standard_normal(shape)
    hold("Slice", f"slice_param {{ {text} }}", [x], lambda x: np.split(x, cuts, axis), tops=len(cuts) + 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("axis: 1 slice_dim: 1", "axis or slice_dim, not both"),
        ("axis: 2", "axis 2 is out of range"),
        ("slice_dim: 2", "slice_dim 2 is out of range"),
        ("", "2 tops do not divide an axis of 5 evenly"),
        ("slice_point: 1 slice_point: 2", "2 tops need 1 slice_point, received 2"),
        ("slice_point: 5", "slice_point must rise"),
        ("slice_point: 0", "slice_point must rise"),
    ],
)
def test_refuses_what_caffe_refuses(text, said):
    assert said in refusal("Slice", f"slice_param {{ {text} }}", [(3, 5)], tops=2)
