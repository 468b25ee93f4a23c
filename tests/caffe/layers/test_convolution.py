"""Convolution compared with an explicit sum."""

import itertools
import math

import numpy as np
import pytest
from support.reference import assert_close, build_error, one_layer_net, run


def terms(shape, kernel, stride, pad, dilation):
    """Return the output size and (top position, kernel element, bottom position) of every product."""
    out = [int((n + 2 * p - d * (k - 1) - 1) / s) + 1 for n, k, s, p, d in zip(shape, kernel, stride, pad, dilation)]
    products = []
    for top in np.ndindex(*out):
        for element in np.ndindex(*kernel):
            position = tuple(t * s - p + e * d for t, s, p, e, d in zip(top, stride, pad, element, dilation))
            if all(0 <= i < n for i, n in zip(position, shape)):
                products.append((top, element, position))
    return out, products


def convolve(x, w, b, dy, stride, pad, dilation, group):
    """Return (y, dy, dx, dw, db) for x of N x C x ..., by loops over the definition."""
    out, products = terms(x.shape[2:], w.shape[2:], stride, pad, dilation)
    y = np.zeros((x.shape[0], w.shape[0], *out))
    dy = dy(y.shape)
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    per_out, per_in = w.shape[0] // group, w.shape[1]
    for m, c in itertools.product(range(w.shape[0]), range(per_in)):
        source = m // per_out * per_in + c
        for top, element, position in products:
            at, of, by = (slice(None), m, *top), (slice(None), source, *position), (m, c, *element)
            y[at] += x[of] * w[by]
            dx[of] += dy[at] * w[by]
            dw[by] += (dy[at] * x[of]).sum()
    y += b.reshape(1, -1, *[1] * len(out))
    return y, dy, dx, dw, dy.sum(axis=(0, *range(2, dy.ndim)))


CASES = {
    "square": (
        "num_output: 4 kernel_size: 3 stride: 2 pad: 1",
        (2, 3, 7, 8),
        (3, 3),
        (2, 2),
        (1, 1),
        (1, 1),
        1,
    ),
    "sides": (
        "num_output: 2 kernel_h: 2 kernel_w: 3 stride_h: 1 stride_w: 2 pad_h: 2 pad_w: 0",
        (1, 3, 4, 7),
        (2, 3),
        (1, 2),
        (2, 0),
        (1, 1),
        1,
    ),
    "dilated": (
        "num_output: 2 kernel_size: 3 kernel_size: 2 dilation: 2 dilation: 3 pad: 1",
        (2, 2, 6, 5),
        (3, 2),
        (1, 1),
        (1, 1),
        (2, 3),
        1,
    ),
    "groups": ("num_output: 6 kernel_size: 2 group: 3", (2, 6, 3, 4), (2, 2), (1, 1), (0, 0), (1, 1), 3),
    "line": ("num_output: 3 kernel_size: 3 stride: 2 pad: 2", (2, 2, 6), (3,), (2,), (2,), (1,), 1),
    "volume": (
        "num_output: 2 kernel_size: 2 pad: 1 stride: 1 stride: 2 stride: 1",
        (1, 2, 3, 4, 3),
        (2, 2, 2),
        (1, 2, 1),
        (1, 1, 1),
        (1, 1, 1),
        1,
    ),
    "four axes": (
        "num_output: 4 kernel_size: 2 dilation: 2 stride: 2 pad: 1 group: 2",
        (1, 2, 3, 4, 3, 2),
        (2,) * 4,
        (2,) * 4,
        (1,) * 4,
        (2,) * 4,
        2,
    ),
    "one by one": (
        "num_output: 3 kernel_size: 1 force_nd_im2col: true",
        (2, 4, 3, 2),
        (1, 1),
        (1, 1),
        (0, 0),
        (1, 1),
        1,
    ),
    "larger than the bottom": (
        "num_output: 2 kernel_size: 4 stride: 3",
        (1, 2, 3, 3),
        (4, 4),
        (3, 3),
        (0, 0),
        (1, 1),
        1,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_matches_the_explicit_sum(name):
    text, shape, kernel, stride, pad, dilation, group = CASES[name]
    rng = np.random.default_rng(len(name))
    outputs = int(text.split("num_output: ")[1].split()[0])
    x = rng.standard_normal(shape)
    w, b = rng.standard_normal((outputs, shape[1] // group, *kernel)), rng.standard_normal(outputs)
    y, dy, dx, dw, db = convolve(x, w, b, rng.standard_normal, stride, pad, dilation, group)
    net = one_layer_net("Convolution", f"convolution_param {{ {text} }}", [shape])
    result = run(net, [x], [w, b], [dy])
    assert_close(result.tops[0], y, "top")
    assert_close(result.diffs[0], dx, "bottom's diff")
    assert_close(result.weight_diffs[0], dw, "weights' diff")
    assert_close(result.weight_diffs[1], db, "bias' diff")


def test_several_bottoms_share_weights_and_accumulate_their_diffs():
    rng = np.random.default_rng(3)
    w = rng.standard_normal((2, 2, 3, 3))
    xs = [rng.standard_normal((2, 2, 4, 5)) for _ in range(2)]
    results = [convolve(x, w, np.zeros(2), rng.standard_normal, (1, 1), (1, 1), (1, 1), 1) for x in xs]
    text = "convolution_param { num_output: 2 kernel_size: 3 pad: 1 bias_term: false }"
    net = one_layer_net("Convolution", text, [x.shape for x in xs], tops=2)
    result = run(net, xs, [w], [f[1] for f in results])
    for i in range(2):
        assert_close(result.tops[i], results[i][0], "top")
        assert_close(result.diffs[i], results[i][2], "bottom's diff")
    assert_close(result.weight_diffs[0], results[0][3] + results[1][3], "weights' diff")


@pytest.mark.parametrize("axis", [2, -3])
def test_axes_before_the_channels_are_batch_axes(axis):
    rng = np.random.default_rng(4)
    x, w, b = rng.standard_normal((2, 3, 4, 5, 5)), rng.standard_normal((3, 4, 2, 2)), rng.standard_normal(3)
    y, dy, dx, dw, db = convolve(x.reshape(6, 4, 5, 5), w, b, rng.standard_normal, (1, 1), (0, 0), (1, 1), 1)
    net = one_layer_net("Convolution", f"convolution_param {{ num_output: 3 kernel_size: 2 axis: {axis} }}", [x.shape])
    result = run(net, [x], [w, b], [dy.reshape(2, 3, 3, 4, 4)])
    assert_close(result.tops[0], y.reshape(2, 3, 3, 4, 4), "top")
    assert_close(result.diffs[0], dx.reshape(x.shape), "bottom's diff")
    assert_close(result.weight_diffs[0], dw, "weights' diff")


def test_without_spatial_axes_it_is_a_matrix_product():
    rng = np.random.default_rng(4)
    x, w = rng.standard_normal((5, 4)), rng.standard_normal((6, 2))
    net = one_layer_net("Convolution", "convolution_param { num_output: 6 group: 2 bias_term: false }", [x.shape])
    result = run(net, [x], [w])
    assert_close(result.tops[0], np.concatenate([x[:, :2] @ w[:3].T, x[:, 2:] @ w[3:].T], 1), "top")


def test_spatial_size_may_change():
    net = one_layer_net("Convolution", "convolution_param { num_output: 2 kernel_size: 3 }", [(1, 2, 5, 5)])
    net.blobs["x0"].reshape(2, 2, 7, 6)
    net.reshape()
    assert net.blobs["y0"].data.shape == (2, 2, 5, 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kernel_size: 3", "num_output must be positive"),
        ("num_output: 2", "expected one kernel_size, or one per spatial axis"),
        ("num_output: 2 kernel_size: 1 kernel_size: 1 kernel_size: 1", "received 3"),
        ("num_output: 2 kernel_size: 0", "kernel_size must be positive"),
        ("num_output: 2 kernel_h: 3", "kernel_size must be positive"),
        ("num_output: 2 kernel_size: 3 kernel_h: 3 kernel_w: 3", "not both"),
        ("num_output: 2 kernel_size: 3 stride: 0", "stride must be positive"),
        ("num_output: 2 kernel_size: 3 stride: 2 stride_h: 2 stride_w: 2", "not both"),
        ("num_output: 2 kernel_size: 3 pad: 1 pad_h: 1 pad_w: 1", "not both"),
        ("num_output: 3 kernel_size: 3 group: 2", "group must divide the 4 channels and num_output 3"),
        ("num_output: 3 kernel_size: 3 group: 3", "group must divide the 4 channels"),
        ("num_output: 2 kernel_size: 9", "a bottom of (6, 7) is too small for kernel (9, 9)"),
        ("num_output: 2 kernel_size: 3 axis: 4", "axis 4 is out of range"),
    ],
)
def test_invalid_parameters_raise(text, message):
    assert message in build_error("Convolution", f"convolution_param {{ {text} }}", [(2, 4, 6, 7)])


def test_different_bottom_shapes_and_invalid_h_w_fields_raise():
    text = "convolution_param { num_output: 2 kernel_size: 2 }"
    assert "bottom 1 is (1, 2, 5, 6)" in build_error("Convolution", text, [(1, 2, 5, 5), (1, 2, 5, 6)], tops=2)
    text = "convolution_param { num_output: 2 kernel_h: 2 kernel_w: 2 }"
    assert "are for 2 spatial axes, the bottom has 1" in build_error("Convolution", text, [(1, 2, 5)])


def test_weight_shapes():
    net = one_layer_net(
        "Convolution", "convolution_param { num_output: 6 group: 2 kernel_h: 2 kernel_w: 3 }", [(1, 4, 5, 5)]
    )
    assert [b.data.shape for b in net.params["l"]] == [(6, 2, 2, 3), (6,)]
    assert math.prod(net.blobs["y0"].data.shape) == 6 * 4 * 3


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("pad_t: 2 pad_r: 1", (2, 0), (0, 1)),
        ("stride: 2 pad_type: 1", (1, 0), (1, 1)),
        ("dilation_h: 2 dilation_w: 1", (0, 0), (0, 0)),
        ("hole_h: 2", (0, 0), (0, 0)),
        ("hole: 2", (0, 0), (0, 0)),
    ],
)
def test_pads_and_dilations_of_forks(text, begin, end):
    rng = np.random.default_rng(9)
    x, weight = rng.standard_normal((1, 2, 7, 6)), rng.standard_normal((3, 2, 3, 3))
    stride = 2 if "stride" in text else 1
    holes = (2, 1) if "_h: 2" in text else (2, 2) if "hole: 2" in text else (1, 1)
    padded = np.pad(x, ((0, 0), (0, 0), (begin[0], end[0]), (begin[1], end[1])))
    sizes = [(n - (2 * hole + 1)) // stride + 1 for n, hole in zip(padded.shape[2:], holes)]
    expected = np.zeros((1, 3, *sizes))
    for o, i, j in np.ndindex(3, *sizes):
        for c, a, b in np.ndindex(2, 3, 3):
            expected[0, o, i, j] += (
                weight[o, c, a, b] * padded[0, c, i * stride + a * holes[0], j * stride + b * holes[1]]
            )
    net = one_layer_net(
        "Convolution", f"convolution_param {{ num_output: 3 kernel_size: 3 bias_term: false {text} }}", [x.shape]
    )
    assert_close(run(net, [x], [weight]).tops[0], expected, "top")
