"""Bias compared with NumPy's broadcasting of explicitly aligned axes."""

import numpy as np
import pytest
from support.reference import build_error, check_layer


@pytest.mark.parametrize(
    ("text", "shape", "blob", "before", "after"),
    [
        ("", (2, 3, 4), (3,), 1, 1),
        ("axis: 0 num_axes: 2", (2, 3, 2), (2, 3), 0, 1),
        ("axis: -2 num_axes: -1", (2, 3, 2, 2), (2, 2), 2, 0),
        ("num_axes: 0", (2, 3), (), 0, 0),
    ],
)
def test_adds_a_learned_blob_or_a_second_bottom(text, shape, blob, before, after):
    def reference(x, b):
        return [x + b.reshape((1,) * before + blob + (1,) * after)]

    rng = np.random.default_rng(1)
    x, b = rng.standard_normal(shape), rng.standard_normal(blob)
    check_layer("Bias", f"bias_param {{ {text} }}", [x], reference, [b])
    check_layer("Bias", "bias_param {{ {} }}".format(text.split("num_axes")[0]), [x, b], reference)


@pytest.mark.parametrize(
    ("text", "shapes", "message"),
    [
        ("axis: 1 num_axes: 2", [(2, 3)], "exceed the bottom"),
        ("num_axes: -2", [(2, 3)], "num_axes must not be negative"),
        ("axis: 0", [(2, 3), (3,)], "does not fit the bottom (2, 3) from axis 0"),
    ],
)
def test_invalid_parameters_raise(text, shapes, message):
    assert message in build_error("Bias", f"bias_param {{ {text} }}", shapes)
