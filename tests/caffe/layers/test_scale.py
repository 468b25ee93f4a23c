"""Scale compared with NumPy's broadcasting of explicitly aligned axes."""

import numpy as np
import pytest
from support.reference import assert_close, build_error, check_layer, one_layer_net, run


def reference(before, after, bias):
    """Return a function for x * scale (+ bias), with `before` leading and `after` trailing axes of 1 added to scale."""

    def align(a):
        return a.reshape((1,) * before + a.shape + (1,) * after)

    def scale(x, s, *b):
        return [x * align(s) + (align(b[0]) if bias else 0)]

    return scale


CASES = [
    ("", (2, 3, 4), (3,), 1, 1),
    ("axis: 0 num_axes: 2", (2, 3, 2), (2, 3), 0, 1),
    ("axis: -1", (2, 3, 4), (4,), 2, 0),
    ("axis: 1 num_axes: -1", (2, 3, 2, 2), (3, 2, 2), 1, 0),
    ("num_axes: 0", (2, 3), (), 0, 0),
    ("axis: 0", (4,), (4,), 0, 0),
]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("text", "shape", "blob", "before", "after"), CASES)
def test_with_learned_blobs(text, shape, blob, before, after, bias):
    rng = np.random.default_rng(1)
    weights = [rng.standard_normal(blob) for _ in range(2 if bias else 1)]
    text = "scale_param {{ {} {} }}".format(text, "bias_term: true" if bias else "")
    check_layer("Scale", text, [rng.standard_normal(shape)], reference(before, after, bias), weights)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("text", "shape", "blob", "before", "after"), CASES)
def test_with_a_second_bottom(text, shape, blob, before, after, bias):
    rng = np.random.default_rng(2)
    text = " ".join(word for word in text.split("num_axes")[0].split())
    bottoms = [rng.standard_normal(shape), rng.standard_normal(blob)]
    weights = [rng.standard_normal(blob)] if bias else []
    text = "scale_param {{ {} {} }}".format(text, "bias_term: true" if bias else "")
    check_layer("Scale", text, bottoms, reference(before, after, bias), weights)


def test_default_scale_is_one_and_bias_zero():
    x = np.arange(6.0).reshape(2, 3)
    result = run(one_layer_net("Scale", "scale_param { bias_term: true }", [x.shape]), [x])
    assert_close(result.tops[0], x, "top")
    assert [w.tolist() for w in result.weights] == [[1, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    ("text", "shapes", "message"),
    [
        ("axis: 2", [(2, 3)], "axis 2 is out of range"),
        ("axis: 1 num_axes: 2", [(2, 3)], "exceed the bottom"),
        ("num_axes: -2", [(2, 3)], "num_axes must not be negative"),
        ("", [(2, 3), (2,)], "does not fit the bottom (2, 3) from axis 1"),
        ("", [(2, 3), (3, 1)], "does not fit"),
    ],
)
def test_invalid_parameters_raise(text, shapes, message):
    assert message in build_error("Scale", f"scale_param {{ {text} }}", shapes)
