"""Scale against NumPy's broadcasting of axes put in place by hand."""

import numpy as np
import pytest
from support.reference import close, hold, one_layer_net, refusal, run


def reference(before, behind, bias):
    """x * scale (+ bias), whose shapes get `before` axes of 1 in front and `behind` at the back."""

    def place(a):
        return a.reshape((1,) * before + a.shape + (1,) * behind)

    def scale(x, s, *b):
        return [x * place(s) + (place(b[0]) if bias else 0)]

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
@pytest.mark.parametrize(("text", "shape", "blob", "before", "behind"), CASES)
def test_with_a_blob_of_its_own(text, shape, blob, before, behind, bias):
    rng = np.random.default_rng(1)
    weights = [rng.standard_normal(blob) for _ in range(2 if bias else 1)]
    text = "scale_param {{ {} {} }}".format(text, "bias_term: true" if bias else "")
    hold("Scale", text, [rng.standard_normal(shape)], reference(before, behind, bias), weights)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("text", "shape", "blob", "before", "behind"), CASES)
def test_with_a_second_bottom(text, shape, blob, before, behind, bias):
    rng = np.random.default_rng(2)
    text = " ".join(word for word in text.split("num_axes")[0].split())
    bottoms = [rng.standard_normal(shape), rng.standard_normal(blob)]
    weights = [rng.standard_normal(blob)] if bias else []
    text = "scale_param {{ {} {} }}".format(text, "bias_term: true" if bias else "")
    hold("Scale", text, bottoms, reference(before, behind, bias), weights)


def test_starts_at_one_and_its_bias_at_zero():
    x = np.arange(6.0).reshape(2, 3)
    result = run(one_layer_net("Scale", "scale_param { bias_term: true }", [x.shape]), [x])
    close(result.tops[0], x, "top")
    assert [w.tolist() for w in result.weights] == [[1, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    ("text", "shapes", "said"),
    [
        ("axis: 2", [(2, 3)], "axis 2 is out of range"),
        ("axis: 1 num_axes: 2", [(2, 3)], "reach beyond the bottom"),
        ("num_axes: -2", [(2, 3)], "num_axes must not be negative"),
        ("", [(2, 3), (2,)], "does not fit the bottom (2, 3) from axis 1"),
        ("", [(2, 3), (3, 1)], "does not fit"),
    ],
)
def test_refuses_what_caffe_refuses(text, shapes, said):
    assert said in refusal("Scale", f"scale_param {{ {text} }}", shapes)
