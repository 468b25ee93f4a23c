"""Bias against NumPy's broadcasting of axes put in place by hand."""

import numpy as np
import pytest
from support.reference import hold, refusal


@pytest.mark.parametrize(
    ("text", "shape", "blob", "before", "behind"),
    [
        ("", (2, 3, 4), (3,), 1, 1),
        ("axis: 0 num_axes: 2", (2, 3, 2), (2, 3), 0, 1),
        ("axis: -2 num_axes: -1", (2, 3, 2, 2), (2, 2), 2, 0),
        ("num_axes: 0", (2, 3), (), 0, 0),
    ],
)
def test_adds_a_blob_of_its_own_or_a_second_bottom(text, shape, blob, before, behind):
    def reference(x, b):
        return [x + b.reshape((1,) * before + blob + (1,) * behind)]

    rng = np.random.default_rng(1)
    x, b = rng.standard_normal(shape), rng.standard_normal(blob)
    hold("Bias", f"bias_param {{ {text} }}", [x], reference, [b])
    hold("Bias", "bias_param {{ {} }}".format(text.split("num_axes")[0]), [x, b], reference)


@pytest.mark.parametrize(
    ("text", "shapes", "said"),
    [
        ("axis: 1 num_axes: 2", [(2, 3)], "reach beyond the bottom"),
        ("num_axes: -2", [(2, 3)], "num_axes must not be negative"),
        ("axis: 0", [(2, 3), (3,)], "does not fit the bottom (2, 3) from axis 0"),
    ],
)
def test_refuses_what_caffe_refuses(text, shapes, said):
    assert said in refusal("Bias", f"bias_param {{ {text} }}", shapes)
