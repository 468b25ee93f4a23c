"""Crop compared with explicit slices."""

import numpy as np
import pytest
from support.reference import build_error, check_layer


@pytest.mark.parametrize(
    ("text", "shape", "like", "slices"),
    [
        ("", (2, 3, 5, 6), (1, 1, 4, 2), np.s_[:, :, 0:4, 0:2]),
        ("offset: 1", (2, 3, 5, 6), (2, 3, 4, 2), np.s_[:, :, 1:5, 1:3]),
        ("offset: 0 offset: 3", (1, 2, 5, 6), (1, 2, 4, 2), np.s_[:, :, 0:4, 3:5]),
        ("axis: 1 offset: 1 offset: 2 offset: 0", (2, 3, 4, 3), (2, 2, 2, 3), np.s_[:, 1:3, 2:4, 0:3]),
        ("axis: -1 offset: 2", (4, 5), (1, 3), np.s_[:, 2:5]),
        ("axis: 0", (4, 5, 2), (3, 5, 1), np.s_[0:3, 0:5, 0:1]),
    ],
)
def test_matches_a_slice_and_second_bottom_has_no_gradient(text, shape, like, slices):
    rng = np.random.default_rng(1)
    bottoms = [rng.standard_normal(shape), rng.standard_normal(like)]
    result = check_layer("Crop", f"crop_param {{ {text} }}", bottoms, lambda x, like: [x[slices] + 0 * like.sum()])
    assert not result.diffs[1].any()


@pytest.mark.parametrize(
    ("text", "shapes", "message"),
    [
        ("axis: 4", [(1, 2, 5, 5), (1, 2, 3, 3)], "axis 4 is out of range"),
        ("offset: 1 offset: 1 offset: 1", [(1, 2, 5, 5), (1, 2, 3, 3)], "expected one offset, or one per axis"),
        (
            "offset: 3",
            [(1, 2, 5, 5), (1, 2, 3, 3)],
            "axis 2: 3 values from offset 3 on exceed its size 5",
        ),
        ("axis: 1", [(1, 2, 5, 5), (1, 3, 3, 3)], "axis 1: 3 values"),
        ("", [(1, 2, 5, 5), (1, 2, 3)], "both bottoms must have the same number of axes"),
    ],
)
def test_invalid_parameters_raise(text, shapes, message):
    assert message in build_error("Crop", f"crop_param {{ {text} }}", shapes)
