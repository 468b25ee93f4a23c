"""Deconvolution compared with its definition: every bottom value adds a kernel to the top."""

import numpy as np
import pytest
from support.reference import assert_close, build_error, one_layer_net, run


def deconvolve(x, w, b, rng, stride, pad, dilation, group):
    """Return (y, dy, dx, dw, db) for x of N x C x ... and w of C x M / group x kernel."""
    axes = range(x.ndim - 2)
    out = [stride[i] * (x.shape[2 + i] - 1) + dilation[i] * (w.shape[2 + i] - 1) + 1 - 2 * pad[i] for i in axes]
    per_in, per_out = w.shape[0] // group, w.shape[1]
    y = np.zeros((x.shape[0], per_out * group, *out))
    dy, dx, dw = rng.standard_normal(y.shape), np.zeros(x.shape), np.zeros(w.shape)
    for c, m, *rest in np.ndindex(*w.shape[:2], *x.shape[2:], *w.shape[2:]):
        position, element = rest[: len(out)], rest[len(out) :]
        top = tuple(position[i] * stride[i] - pad[i] + element[i] * dilation[i] for i in axes)
        if all(0 <= t < n for t, n in zip(top, out)):
            at = (slice(None), c // per_in * per_out + m, *top)
            of, by = (slice(None), c, *position), (c, m, *element)
            y[at] += x[of] * w[by]
            dx[of] += dy[at] * w[by]
            dw[by] += (dy[at] * x[of]).sum()
    y += b.reshape(1, -1, *[1] * len(out))
    return y, dy, dx, dw, dy.sum(axis=(0, *range(2, dy.ndim)))


CASES = {
    "square": ("kernel_size: 3 stride: 2 pad: 1", 4, (2, 3, 3, 4), (3, 3), (2, 2), (1, 1), (1, 1), 1),
    "sides": (
        "kernel_h: 2 kernel_w: 4 stride_h: 3 stride_w: 2 pad_h: 0 pad_w: 1",
        2,
        (1, 3, 2, 3),
        (2, 4),
        (3, 2),
        (0, 1),
        (1, 1),
        1,
    ),
    "groups": ("kernel_size: 2 group: 2", 6, (2, 4, 2, 3), (2, 2), (1, 1), (0, 0), (1, 1), 2),
    "dilated": (
        "kernel_size: 2 dilation: 2 dilation: 3 stride: 2",
        2,
        (1, 2, 3, 2),
        (2, 2),
        (2, 2),
        (0, 0),
        (2, 3),
        1,
    ),
    "line": ("kernel_size: 4 stride: 2 pad: 1", 3, (2, 2, 4), (4,), (2,), (1,), (1,), 1),
    "volume": ("kernel_size: 2 stride: 2", 2, (1, 2, 2, 2, 3), (2,) * 3, (2,) * 3, (0,) * 3, (1,) * 3, 1),
    "four axes": (
        "kernel_size: 2 stride: 2 pad: 1 dilation: 2 group: 2",
        2,
        (1, 2, 2, 3, 2, 2),
        (2,) * 4,
        (2,) * 4,
        (1,) * 4,
        (2,) * 4,
        2,
    ),
    "pad beyond the kernel": (
        "kernel_size: 2 stride: 3 pad: 2",
        1,
        (1, 1, 4, 5),
        (2, 2),
        (3, 3),
        (2, 2),
        (1, 1),
        1,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_matches_the_definition(name):
    text, outputs, shape, kernel, stride, pad, dilation, group = CASES[name]
    rng = np.random.default_rng(len(name))
    x, b = rng.standard_normal(shape), rng.standard_normal(outputs)
    w = rng.standard_normal((shape[1], outputs // group, *kernel))
    y, dy, dx, dw, db = deconvolve(x, w, b, rng, stride, pad, dilation, group)
    net = one_layer_net("Deconvolution", f"convolution_param {{ num_output: {outputs} {text} }}", [shape])
    result = run(net, [x], [w, b], [dy])
    assert_close(result.tops[0], y, "top")
    assert_close(result.diffs[0], dx, "bottom's diff")
    assert_close(result.weight_diffs[0], dw, "weights' diff")
    assert_close(result.weight_diffs[1], db, "bias' diff")


def test_matches_the_backward_pass_of_a_convolution():
    rng = np.random.default_rng(1)
    text = "convolution_param { num_output: %d kernel_size: 3 stride: 2 pad: 1 bias_term: false }"
    w, x = rng.standard_normal((3, 2, 3, 3)), rng.standard_normal((1, 3, 4, 4))
    up = run(one_layer_net("Deconvolution", text % 2, [x.shape]), [x], [w])
    down = run(one_layer_net("Convolution", text % 3, [(1, 2, 7, 7)]), [np.zeros((1, 2, 7, 7))], [w], [x])
    assert_close(up.tops[0], down.diffs[0], "top")


def test_bilinear_weights_interpolate():
    text = (
        "convolution_param { num_output: 2 group: 2 kernel_size: 4 stride: 2 pad: 1 bias_term: false "
        'weight_filler { type: "bilinear" } }'
    )
    net = one_layer_net("Deconvolution", text, [(1, 2, 4, 4)])
    ramp = np.arange(4.0)
    result = run(net, [np.broadcast_to(ramp, (1, 2, 4, 4))])
    inner = result.tops[0][0, :, 2:-2, 1:-1]
    assert_close(inner, np.broadcast_to([0.25, 0.75, 1.25, 1.75, 2.25, 2.75], inner.shape), "top")


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6])
def test_bilinear_weights_are_symmetric_ramps(size):
    text = f'convolution_param {{ num_output: 1 kernel_size: {size} weight_filler {{ type: "bilinear" }} }}'
    weights = one_layer_net("Deconvolution", text, [(1, 1, 4, 4)]).params["l"][0].data[0, 0]
    half = -(-size // 2)
    ramp = np.array([min(i, size - 1 - i) + (0.5 if size % 2 == 0 else 1) for i in range(size)]) / half
    assert_close(weights, np.outer(ramp, ramp), "weights")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("num_output: 2 kernel_size: 3 pad: 4", "too small for kernel"),
        ("num_output: 3 kernel_size: 3 group: 2", "group must divide"),
        ("num_output: 0 kernel_size: 3", "num_output must be positive"),
    ],
)
def test_invalid_parameters_raise(text, message):
    assert message in build_error("Deconvolution", f"convolution_param {{ {text} }}", [(1, 4, 3, 3)])
