"""Pooling against loops over its windows."""

import math

import numpy as np
import pytest
from support.reference import close, hold, one_layer_net, refusal, run

import caffe


def windows(size, kernel, stride, pad, other_pad, floor=False):
    """(start, end) of each window along an axis, in the bottom's coordinates, padding included and overhang
    not.
    """
    room = (size + 2 * pad - kernel) / stride
    out = (math.floor(room) if floor else math.ceil(room)) + 1
    if (pad or other_pad) and (out - 1) * stride >= size + pad:
        out -= 1
    return [(i * stride - pad, min(i * stride - pad + kernel, size + pad)) for i in range(out)]


def pool(x, method, kernel, stride=(1, 1), pad=(0, 0), floor=False):
    """Tops of Pooling; for "MAX" the top and the mask."""
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
                    mask[n, c, i, j] = next(place for v, place in inside if v == max(values))
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
    ),  # pad over half a kernel
    ("kernel_size: 5 pad: 4 stride: 3", (3, 4), dict(kernel=(5, 5), stride=(3, 3), pad=(4, 4))),
    (
        "kernel_size: 2 stride: 2 pad: 1",
        (4, 5),
        dict(kernel=(2, 2), stride=(2, 2), pad=(1, 1)),
    ),  # a window dropped
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
IDS = ["%s on %dx%d" % (text, *size) for text, size, _ in SETTINGS]


@pytest.mark.parametrize(("text", "size", "settings"), SETTINGS, ids=IDS)
def test_max_and_its_mask(text, size, settings):
    rng = np.random.default_rng(1)
    x = rng.permutation(2 * 2 * size[0] * size[1]).reshape(2, 2, *size) / 7.0  # no two alike
    y, mask = pool(x, "MAX", **settings)
    dy, dx = rng.standard_normal(y.shape), np.zeros(x.shape)
    for place in np.ndindex(y.shape):
        dx[place[0], place[1]].flat[int(mask[place])] += dy[place]
    for tops in (1, 2):
        net = one_layer_net("Pooling", f"pooling_param {{ pool: MAX {text} }}", [x.shape], tops)
        result = run(net, [x], [], [dy])
        close(result.tops[0], y, "top")
        close(result.diffs[0], dx, "bottom's diff")
    close(result.tops[1], mask, "mask")


@pytest.mark.parametrize(("text", "size", "settings"), SETTINGS, ids=IDS)
def test_ave(text, size, settings):
    x = np.random.default_rng(2).standard_normal((1, 2, *size))
    hold("Pooling", f"pooling_param {{ pool: AVE {text} }}", [x], lambda x: pool(x, "AVE", **settings))


def test_of_equal_values_the_first_is_the_maximum():
    x = np.array([[1, 3, 3], [3, 0, 3], [2, 3, 3]], np.float32).reshape(1, 1, 3, 3)
    net = one_layer_net("Pooling", "pooling_param { kernel_size: 2 }", [x.shape], tops=2)
    result = run(net, [x], [], [np.ones((1, 1, 2, 2))])
    assert result.tops[1].ravel().tolist() == [1, 1, 3, 5]
    assert result.diffs[0].ravel().tolist() == [0, 2, 0, 1, 0, 1, 0, 0, 0]


@pytest.mark.parametrize(("text", "size", "settings"), [s for s in SETTINGS if "pad" not in s[0]])
def test_stochastic_at_test_is_the_mean_weighted_by_the_values(text, size, settings):
    x = np.abs(np.random.default_rng(2).standard_normal((1, 2, *size)))
    x[0, 1] = 0
    net = one_layer_net("Pooling", f"pooling_param {{ pool: STOCHASTIC {text} }}", [x.shape])
    close(run(net, [x]).tops[0], pool(x, "STOCHASTIC", **settings)[0], "top")


def test_stochastic_in_training_draws_values_by_their_share_and_sends_the_diff_there():
    caffe.set_random_seed(1)
    x = np.tile(np.array([1.0, 2.0, 0.0, 5.0]).reshape(1, 1, 2, 2), (1, 1, 40, 50))
    net = one_layer_net(
        "Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 2 stride: 2 }", [x.shape], phase=caffe.TRAIN
    )
    dy = np.random.default_rng(3).standard_normal((1, 1, 40, 50))
    result = run(net, [x], [], [dy])
    drawn = result.tops[0]
    assert set(np.unique(drawn)) == {1, 2, 5}
    for value, share in ((1, 1 / 8), (2, 2 / 8), (5, 5 / 8)):
        assert abs((drawn == value).mean() - share) < 4 * math.sqrt(share * (1 - share) / drawn.size)
    repeated = drawn.repeat(2, axis=2).repeat(2, axis=3)
    close(result.diffs[0], np.where(repeated == x, dy.repeat(2, axis=2).repeat(2, axis=3), 0), "bottom's diff")


def test_stochastic_in_training_never_draws_from_beyond_the_edge():
    x = np.full((2, 3, 5, 5), 7.0)
    net = one_layer_net(
        "Pooling", "pooling_param { pool: STOCHASTIC kernel_size: 3 stride: 2 }", [x.shape], phase=caffe.TRAIN
    )
    assert (run(net, [x]).tops[0] == 7).all()
    zeros = run(net, [0 * x], [], [np.ones((2, 3, 2, 2))])
    assert (zeros.tops[0] == 0).all() and zeros.diffs[0].sum() == 24


def test_global_pooling_follows_the_bottom():
    net = one_layer_net("Pooling", "pooling_param { pool: AVE global_pooling: true }", [(1, 2, 3, 4)])
    net.blobs["x0"].reshape(1, 2, 5, 7)
    net.reshape()
    net.blobs["x0"].data[...] = 3
    net.forward()
    assert net.blobs["y0"].data.shape == (1, 2, 1, 1) and np.allclose(net.blobs["y0"].data, 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "kernel_size, or kernel_h and kernel_w, must be given"),
        ("kernel_size: 0", "kernel must be positive"),
        ("kernel_h: 2", "not both, nor one of the two"),
        ("kernel_size: 2 kernel_h: 2 kernel_w: 2", "not both"),
        ("kernel_size: 2 pad: 1 pad_h: 1 pad_w: 1", "not both"),
        ("kernel_size: 2 stride_w: 1", "nor one of the two"),
        ("kernel_size: 2 stride: 0", "stride must be positive"),
        ("kernel_size: 2 pad: 2", "pad must be less than the kernel"),
        ("pool: STOCHASTIC kernel_size: 2 pad: 1", "padding is for MAX and AVE"),
        ("global_pooling: true kernel_size: 2", "a kernel size cannot be given"),
        ("global_pooling: true stride: 2", "goes with pad 0 and stride 1"),
        ("kernel_size: 1 stride: 2", "use round_mode: FLOOR"),
        ("kernel_size: 9 stride: 1", "leaves nothing of 6"),
    ],
)
def test_refuses_what_has_no_answer(text, said):
    assert said in refusal("Pooling", f"pooling_param {{ {text} }}", [(1, 2, 6, 6)])


def test_only_max_has_a_mask_and_bottoms_have_4_axes():
    assert "takes 1 top" in refusal("Pooling", "pooling_param { pool: AVE kernel_size: 2 }", [(1, 2, 6, 6)], tops=2)
    assert "4 axes" in refusal("Pooling", "pooling_param { kernel_size: 2 }", [(2, 6, 6)])


def bounded(x, method, kernel, stride, begin, end, out, inside_only=False):
    """Pooling with pads of their own at each end; `out` windows."""
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
    hold("Pooling", f"pooling_param {{ {text} }}", [X], lambda x: bounded(x, *arguments))


def test_round_mode_wins_over_ceil_mode():
    net = one_layer_net(
        "Pooling", "pooling_param { kernel_size: 3 stride: 2 round_mode: CEIL ceil_mode: false }", [(1, 1, 8, 8)]
    )
    assert net.blobs["y0"].data.shape == (1, 1, 4, 4)
