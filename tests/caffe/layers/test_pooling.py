"""Pooling compared with loops over its windows."""

import math

import numpy as np
import pytest
from support.reference import assert_close, build_error, check_layer, one_layer_net, run

import caffe


def windows(size, kernel, stride, pad, other_pad, floor=False):
    """Return (start, end) of each window along an axis in bottom coordinates, with padding but without overhang."""
    room = (size + 2 * pad - kernel) / stride
    out = (math.floor(room) if floor else math.ceil(room)) + 1
    if (pad or other_pad) and (out - 1) * stride >= size + pad:
        out -= 1
    return [(i * stride - pad, min(i * stride - pad + kernel, size + pad)) for i in range(out)]


def pool(x, method, kernel, stride=(1, 1), pad=(0, 0), floor=False):
    """Return the tops of Pooling: for "MAX" the top and the mask of indices."""
    rows = windows(x.shape[2], kernel[0], stride[0], pad[0], pad[1], floor)
    columns = windows(x.shape[3], kernel[1], stride[1], pad[1], pad[0], floor)
    y = np.zeros((*x.shape[:2], len(rows), len(columns)))
    mask = np.zeros(y.shape)
    for n, c in np.ndindex(*x.shape[:2]):
        for i, (top, bottom) in enumerate(rows):
            for j, (left, right) in enumerate(columns):
                inside = [
                    (x[n, c, a, b], a * x.shape[3] + b)
                    for a in range(max(top, 0), min(bottom, x.shape[2]))
                    for b in range(max(left, 0), min(right, x.shape[3]))
                ]
                values = [v for v, _ in inside]
                if method == "MAX":
                    y[n, c, i, j] = max(values)
                    mask[n, c, i, j] = next(position for v, position in inside if v == max(values))
                elif method == "AVE":
                    y[n, c, i, j] = sum(values) / ((bottom - top) * (right - left))
                else:
                    y[n, c, i, j] = sum(v * v for v in values) / sum(values) if sum(values) > 0 else 0
    return (y, mask) if method == "MAX" else (y,)


SETTINGS = [
    ("kernel_size: 3 stride: 2", (8, 8), dict(kernel=(3, 3), stride=(2, 2))),
    ("kernel_size: 3 stride: 2", (7, 6), dict(kernel=(3, 3), stride=(2, 2))),
    ("kernel_size: 2", (4, 5), dict(kernel=(2, 2))),
    ("kernel_size: 3 stride: 2 pad: 1", (6, 7), dict(kernel=(3, 3), stride=(2, 2), pad=(1, 1))),
    (
        "kernel_h: 2 kernel_w: 3 stride_h: 1 stride_w: 2 pad_h: 1 pad_w: 0",
        (5, 6),
        dict(kernel=(2, 3), stride=(1, 2), pad=(1, 0)),
    ),
    (
        "kernel_size: 3 pad: 2 stride: 3",
        (5, 7),
        dict(kernel=(3, 3), stride=(3, 3), pad=(2, 2)),
    ),  # pad larger than half a kernel
    ("kernel_size: 5 pad: 4 stride: 3", (3, 4), dict(kernel=(5, 5), stride=(3, 3), pad=(4, 4))),
    (
        "kernel_size: 2 stride: 2 pad: 1",
        (4, 5),
        dict(kernel=(2, 2), stride=(2, 2), pad=(1, 1)),
    ),  # the last window is dropped
    ("kernel_size: 5 stride: 4", (4, 3), dict(kernel=(5, 5), stride=(4, 4))),  # larger than the bottom
    ("kernel_size: 3 stride: 2 round_mode: FLOOR", (8, 8), dict(kernel=(3, 3), stride=(2, 2), floor=True)),
    ("kernel_size: 2 stride: 3 round_mode: FLOOR", (7, 6), dict(kernel=(2, 2), stride=(3, 3), floor=True)),
    (
        "kernel_size: 3 stride: 2 pad: 2 round_mode: FLOOR",
        (6, 5),
        dict(kernel=(3, 3), stride=(2, 2), pad=(2, 2), floor=True),
    ),
    ("global_pooling: true", (3, 4), dict(kernel=(3, 4))),
]
IDS = [f"{text} on {size[0]}x{size[1]}" for text, size, _ in SETTINGS]


@pytest.mark.parametrize(("text", "size", "settings"), SETTINGS, ids=IDS)
def test_max_and_its_mask(text, size, settings):
    rng = np.random.default_rng(1)
    x = rng.permutation(2 * 2 * size[0] * size[1]).reshape(2, 2, *size) / 7.0  # all values differ
    y, mask = pool(x, "MAX", **settings)
    dy, dx = rng.standard_normal(y.shape), np.zeros(x.shape)
    for position in np.ndindex(y.shape):
        dx[position[0], position[1]].flat[int(mask[position])] += dy[position]
    for tops in (1, 2):
        net = one_layer_net("Pooling", f"pooling_param {{ pool: MAX {text} }}", [x.shape], tops)
        result = run(net, [x], [], [dy])
        assert_close(result.tops[0], y, "top")
        assert_close(result.diffs[0], dx, "bottom's diff")
    assert_close(result.tops[1], mask, "mask")


@pytest.mark.parametrize(("text", "size", "settings"), SETTINGS, ids=IDS)
def test_ave(text, size, settings):
    x = np.random.default_rng(2).standard_normal((1, 2, *size))
    check_layer("Pooling", f"pooling_param {{ pool: AVE {text} }}", [x], lambda x: pool(x, "AVE", **settings))


def test_mask_points_to_the_first_of_equal_maxima():
    x = np.array([[1, 3, 3], [3, 0, 3], [2, 3, 3]], np.float32).reshape(1, 1, 3, 3)
    net = one_layer_net("Pooling", "pooling_param { kernel_size: 2 }", [x.shape], tops=2)
    result = run(net, [x], [], [np.ones((1, 1, 2, 2))])
    assert result.tops[1].ravel().tolist() == [1, 1, 3, 5]
    assert result.diffs[0].ravel().tolist() == [0, 2, 0, 1, 0, 1, 0, 0, 0]


@pytest.mark.parametrize(("text", "size", "settings"), [s for s in SETTINGS if "pad" not in s[0]])
def test_stochastic_in_test_phase_is_the_value_weighted_mean(text, size, settings):
    x = np.abs(np.random.default_rng(2).standard_normal((1, 2, *size)))
    x[0, 1] = 0
    net = one_layer_net("Pooling", f"pooling_param {{ pool: STOCHASTIC {text} }}", [x.shape])
    assert_close(run(net, [x]).tops[0], pool(x, "STOCHASTIC", **settings)[0], "top")


def test_stochastic_in_train_phase_draws_proportionally_and_backpropagates():
    caffe.set_random_seed(1)
    x = np.tile(np.array([1.0, 2.0, 0.0, 5.0]).reshape(1, 1, 2, 2), (1, 1, 40, 50))
    net = one_layer_net(
        "Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 stride: 2 }", [x.shape], phase=caffe.TRAIN
    )
    dy = np.random.default_rng(3).standard_normal((1, 1, 40, 50))
    result = run(net, [x], [], [dy])
    drawn = result.tops[0]
    assert set(np.unique(drawn)) == {1, 2, 5}
    for value, fraction in ((1, 1 / 8), (2, 2 / 8), (5, 5 / 8)):
        assert abs((drawn == value).mean() - fraction) < 4 * math.sqrt(fraction * (1 - fraction) / drawn.size)
    repeated = drawn.repeat(2, axis=2).repeat(2, axis=3)
    assert_close(result.diffs[0], np.where(repeated == x, dy.repeat(2, axis=2).repeat(2, axis=3), 0), "bottom's diff")


def test_stochastic_in_train_phase_never_draws_outside_the_bottom():
    x = np.full((2, 3, 5, 5), 7.0)
    net = one_layer_net(
        "Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 3 stride: 2 }", [x.shape], phase=caffe.TRAIN
    )
    assert (run(net, [x]).tops[0] == 7).all()
    zeros = run(net, [0 * x], [], [np.ones((2, 3, 2, 2))])
    assert (zeros.tops[0] == 0).all() and zeros.diffs[0].sum() == 24


def test_global_pooling_adapts_to_the_bottom():
    net = one_layer_net("Pooling", "pooling_param { pool: AVE global_pooling: true }", [(1, 2, 3, 4)])
    net.blobs["x0"].reshape(1, 2, 5, 7)
    net.reshape()
    net.blobs["x0"].data[...] = 3
    net.forward()
    assert net.blobs["y0"].data.shape == (1, 2, 1, 1) and np.allclose(net.blobs["y0"].data, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "kernel_size, or kernel_h and kernel_w, is required"),
        ("kernel_size: 0", "kernel must be positive"),
        ("kernel_h: 2", "expected either kernel_size, or both kernel_h and kernel_w"),
        ("kernel_size: 2 kernel_h: 2 kernel_w: 2", "expected either kernel_size, or both kernel_h and kernel_w"),
        ("kernel_size: 2 pad: 1 pad_h: 1 pad_w: 1", "expected either pad, or both pad_h and pad_w"),
        ("kernel_size: 2 stride_w: 1", "expected either stride, or both stride_h and stride_w"),
        ("kernel_size: 2 stride: 0", "stride must be positive"),
        ("kernel_size: 2 pad: 2", "pad must be less than the kernel"),
        ("pool: STOCHASTIC kernel_size: 2 pad: 1", "padding is for MAX and AVE"),
        ("global_pooling: true kernel_size: 2", "remove the kernel size"),
        ("global_pooling: true stride: 2", "needs pad 0 and stride 1"),
        ("kernel_size: 2 stride: 3", "use round_mode: FLOOR"),
        ("kernel_size: 9 stride: 1", "does not fit into 6 values"),
    ],
)
def test_invalid_parameters_raise(text, message):
    assert message in build_error("Pooling", f"pooling_param {{ {text} }}", [(1, 2, 6, 6)])


def test_only_max_has_a_mask_and_bottoms_have_4_axes():
    assert "takes 1 top" in build_error("Pooling", "pooling_param { pool: AVE kernel_size: 2 }", [(1, 2, 6, 6)], tops=2)
    assert "4 axes" in build_error("Pooling", "pooling_param { kernel_size: 2 }", [(2, 6, 6)])


def bounded(x, method, kernel, stride, begin, end, out, inside_only=False):
    """Return Pooling with `out` windows and different padding at both ends."""
    y = np.zeros((*x.shape[:2], *out))
    for n, c, i, j in np.ndindex(*y.shape):
        starts = [i * stride - begin[0], j * stride - begin[1]]
        ends = [min(s + kernel, size + e) for s, size, e in zip(starts, x.shape[2:], end)]
        rows, columns = (range(max(s, 0), min(e, size)) for s, e, size in zip(starts, ends, x.shape[2:]))
        values = [x[n, c, a, b] for a in rows for b in columns]
        area = len(values) if inside_only else (ends[0] - starts[0]) * (ends[1] - starts[1])
        y[n, c, i, j] = max(values) if method == "MAX" else sum(values) / area
    return [y]


X = np.random.default_rng(8).standard_normal((1, 2, 7, 6))


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("pool: MAX kernel_size: 3 stride: 2 ceil_mode: false", ("MAX", 3, 2, (0, 0), (0, 0), (3, 2))),
        ("pool: MAX kernel_size: 3 stride: 2 ceil_mode: true", ("MAX", 3, 2, (0, 0), (0, 0), (3, 3))),
        ("pool: AVE kernel_size: 3 stride: 2 pad_t: 1 pad_r: 1", ("AVE", 3, 2, (1, 0), (0, 1), (4, 3))),
        ("pool: AVE_EXC_PAD kernel_size: 3 stride: 2 pad: 1", ("AVE", 3, 2, (1, 1), (1, 1), (4, 4), True)),
        ("pool: AVE_TF kernel_size: 3 stride: 2 pad_type: 1", ("AVE", 3, 2, (1, 0), (1, 1), (4, 3), True)),
        ("pool: AVE kernel_size: 3 pad: 1 avg_include_pad: false", ("AVE", 3, 1, (1, 1), (1, 1), (7, 6), True)),
        ("pool: MAX kernel_size: 2 stride: 2 pad_type: 1", ("MAX", 2, 2, (0, 0), (1, 0), (4, 3))),
    ],
)
def test_fields_of_forks(text, arguments):
    check_layer("Pooling", f"pooling_param {{ {text} }}", [X], lambda x: bounded(x, *arguments))


def test_round_mode_has_precedence_over_ceil_mode():
    net = one_layer_net(
        "Pooling", "pooling_param { kernel_size: 3 stride: 2 round_mode: CEIL ceil_mode: false }", [(1, 1, 8, 8)]
    )
    assert net.blobs["y0"].data.shape == (1, 1, 4, 4)


def pooled_3d(x, kernel, stride, pad, mean):
    """Pool over three axes by loops, from Caffe's definition for two."""
    outs, starts = [], []
    for size, k, s, p in zip(x.shape[2:], kernel, stride, pad):
        out = -(-(size + 2 * p - k) // s) + 1
        if any(pad) and (out - 1) * s >= size + p:
            out -= 1
        outs.append(out)
        starts.append([i * s - p for i in range(out)])
    y = np.zeros((*x.shape[:2], *outs))
    for place in np.ndindex(*outs):
        ends = [min(starts[a][i] + kernel[a], x.shape[2 + a] + pad[a]) for a, i in enumerate(place)]
        count = np.prod([end - starts[a][i] for a, (i, end) in enumerate(zip(place, ends))])
        part = x[
            (..., *(slice(max(starts[a][i], 0), min(e, x.shape[2 + a])) for a, (i, e) in enumerate(zip(place, ends))))
        ]
        y[(..., *place)] = part.sum((2, 3, 4)) / count if mean else part.max((2, 3, 4))
    return [y]


@pytest.mark.parametrize(
    "text, kernel, stride, pad",
    [
        ("kernel_size: [1, 2, 3] stride: [1, 2, 2]", (1, 2, 3), (1, 2, 2), (0, 0, 0)),
        ("kernel_size: 3 kernel_size: 2 kernel_size: 2 stride: 2 pad: 1", (3, 2, 2), (2, 2, 2), (1, 1, 1)),
    ],
)
@pytest.mark.parametrize("mean", [False, True])
def test_three_axes(text, kernel, stride, pad, mean):
    x = np.random.default_rng(9).standard_normal((1, 1, 3, 4, 5))
    fields = f"pooling_param {{ pool: {'AVE' if mean else 'MAX'} {text} }}"
    check_layer("Pooling", fields, [x], lambda x: pooled_3d(x, kernel, stride, pad, mean))


def test_two_values_are_height_and_width():
    x = np.random.default_rng(9).standard_normal((1, 1, 4, 6))
    two = one_layer_net("Pooling", "pooling_param { pool: MAX kernel_size: [2, 3] stride: 1 stride: 2 }", [x.shape])
    named = "pooling_param { pool: MAX kernel_h: 2 kernel_w: 3 stride_h: 1 stride_w: 2 }"
    for net in (two, other := one_layer_net("Pooling", named, [x.shape])):
        net.blobs["x0"].data[...] = x
    np.testing.assert_array_equal(two.forward()["y0"], other.forward()["y0"])


def test_a_kernel_of_one_has_no_window_beyond_the_bottom():
    """intel/caffe's sparse ResNet-50 has a kernel of 1 with stride 2."""
    net = one_layer_net("Pooling", "pooling_param { pool: MAX kernel_size: 1 stride: 2 }", [(1, 1, 6, 6)])
    assert net.blobs["y0"].data.shape == (1, 1, 3, 3)
