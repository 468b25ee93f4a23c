"""Crop against slices written out."""

import numpy as np
import pytest
from support.reference import hold, refusal


@pytest.mark.parametrize(
    ("text", "shape", "like", "where"),
    [
        ("", (2, 3, 5, 6), (1, 1, 4, 2), np.s_[:, :, 0:4, 0:2]),
        ("offset: 1", (2, 3, 5, 6), (2, 3, 4, 2), np.s_[:, :, 1:5, 1:3]),
        ("offset: 0 offset: 3", (1, 2, 5, 6), (1, 2, 4, 2), np.s_[:, :, 0:4, 3:5]),
        ("axis: 1 offset: 1 offset: 2 offset: 0", (2, 3, 4, 3), (2, 2, 2, 3), np.s_[:, 1:3, 2:4, 0:3]),
        ("axis: -1 offset: 2", (4, 5), (1, 3), np.s_[:, 2:5]),
        ("axis: 0", (4, 5, 2), (3, 5, 1), np.s_[0:3, 0:5, 0:1]),
    ],
)
def test_equals_a_slice_and_only_the_first_bottom_has_a_diff(text, shape, like, where):
    rng = np.random.default_rng(1)
    bottoms = [rng.standard_normal(shape), rng.standard_normal(like)]
    result = hold("Crop", f"crop_param {{ {text} }}", bottoms, lambda x, like: [x[where] + 0 * like.sum()])
    assert not result.diffs[1].any()


@pytest.mark.parametrize(
    ("text", "shapes", "said"),
    [
        ("axis: 4", [(1, 2, 5, 5), (1, 2, 3, 3)], "axis 4 is out of range"),
        ("offset: 1 offset: 1 offset: 1", [(1, 2, 5, 5), (1, 2, 3, 3)], "offset must be given once"),
        (
            "offset: 3",
            [(1, 2, 5, 5), (1, 2, 3, 3)],
            "axis 2: 3 values from offset 3 on are more than the 5 there are",
        ),
        ("axis: 1", [(1, 2, 5, 5), (1, 3, 3, 3)], "axis 1: 3 values"),
        ("", [(1, 2, 5, 5), (1, 2, 3)], "both bottoms must have as many axes"),
    ],
)
def test_refuses_what_caffe_refuses(text, shapes, said):
    assert said in refusal("Crop", f"crop_param {{ {text} }}", shapes)
