"""Compare operations of Myriad X's engines with loops: padding, strides, channel tiles, partial sums, ReLU, clamp."""

import itertools

import numpy as np
import pytest
from stage_machine import assert_close, fp16_normal, packed, run_stage

RANDOM = np.random.RandomState(6)


def operation(
    kind, *, pool_type=None, pad=None, indices, channels=(), kernel=(), pool=(), relu=None, clamp=None, fc=None
):
    """Pack one operation as in a blob."""
    rows = [kind] + ([] if pool_type is None else [pool_type]) + [4]
    rows += [0] if pad is None else [1, pad]
    rows += list(indices)
    rows += list(fc) if fc else [*channels, *kernel]
    rows += list(pool)
    rows += [0] if relu is None else [1, *relu]
    rows += [0] if clamp is None else [1, float(clamp)]
    return packed(*rows, 0, 0)


def stage(*operations):
    return packed(len(operations)) + b"".join(operations)


def pack(w):
    """Pack weights (O, C, K) as (O/8, C, K, 8)."""
    return np.ascontiguousarray(w.reshape(-1, 8, *w.shape[1:]).transpose(0, 2, 3, 1))


def conv_loop(x, w, stride, pad, size):
    out = np.zeros((len(w), *size))
    for o, y, z in itertools.product(range(len(w)), *map(range, size)):
        for c, i, j in itertools.product(*map(range, w.shape[1:])):
            row, column = y * stride - pad[0] + i, z * stride - pad[1] + j
            if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                out[o, y, z] += float(x[c, row, column]) * float(w[o, c, i, j])
    return out


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("kernel, stride", [((3, 3), 1), ((1, 1), 1), ((5, 3), 2), ((2, 2), 2)])
def test_convolution(kernel, stride, padded):
    """A kernel of 2 pads one row at the top and none at the bottom; (sum + bias) · scale precedes ReLU."""
    x, w = fp16_normal(RANDOM, 1, 4, 8, 9), fp16_normal(RANDOM, 16, 4, *kernel)
    bias, scale = fp16_normal(RANDOM, 16), fp16_normal(RANDOM, 16)
    before = [k // 2 * padded for k in kernel]
    total = [k - 1 if padded else 0 for k in kernel]
    size = [(n + t - k) // stride + 1 for n, t, k in zip((8, 9), total, kernel)]
    conv = operation(
        0,
        pad=0 if padded else None,
        indices=(0, 4, 1, 2, 3),
        channels=(0, 16),
        kernel=(*kernel[::-1], stride),
        relu=(0, 0, 1),
    )
    result = run_stage(
        "MyriadXHwOp", stage(conv), x, pack(w.reshape(16, 4, -1)), bias, scale, ((1, 16, *size),), outputs=(4,)
    )
    sums = conv_loop(x[0], w, stride, before, size) + bias.astype(np.float64)[:, None, None]
    assert_close(result[0], np.maximum(sums * scale.astype(np.float64)[:, None, None], 0), 3)


def test_channel_tiles_with_leaky_relu_and_clamp():
    """Two operations write eight channels each; the output has fewer channels than the weights."""
    x, w = fp16_normal(RANDOM, 1, 3, 4, 4), fp16_normal(RANDOM, 16, 3, 1, 1)
    first = operation(0, indices=(0, 2, 1, -1, -1), channels=(0, 8), kernel=(1, 1, 1), relu=(0, 1, 10))
    second = operation(0, indices=(0, 2, 1, -1, -1), channels=(8, 8), kernel=(1, 1, 1), clamp=0.5)
    result = run_stage(
        "MyriadXHwOp", stage(first, second), x, pack(w.reshape(16, 3, 1)), ((1, 13, 4, 4),), outputs=(2,)
    )
    sums = conv_loop(x[0], w, 1, (0, 0), (4, 4))
    assert_close(result[0, :8], np.where(sums[:8] < 0, sums[:8], 10 * sums[:8]), 3)
    assert_close(result[0, 8:], np.clip(sums[8:13], 0, 0.5), 3)


def test_convolution_with_pooling():
    x, w = fp16_normal(RANDOM, 1, 2, 6, 8), fp16_normal(RANDOM, 8, 2, 3, 3)
    conv = operation(1, pad=0, indices=(0, 2, 1, -1, -1), channels=(0, 8), kernel=(3, 3, 1), pool=(2, 2))
    result = run_stage("MyriadXHwOp", stage(conv), x, pack(w.reshape(8, 2, 9)), ((1, 8, 3, 4),), outputs=(2,))
    sums = conv_loop(x[0], w, 1, (1, 1), (6, 8))
    for y, z in itertools.product(range(3), range(4)):
        assert_close(result[0, :, y, z], sums[:, 2 * y : 2 * y + 2, 2 * z : 2 * z + 2].max((1, 2)), 3)


def test_fully_connected_accumulates_over_parts_of_the_input():
    x, w, bias = fp16_normal(RANDOM, 1, 12, 1, 1), fp16_normal(RANDOM, 8, 12), fp16_normal(RANDOM, 8)
    parts = [
        operation(2, indices=(0, 3, 1, 2, -1), fc=(0, 8, 0, 8, 1)),
        operation(2, indices=(0, 3, 1, 2, -1), fc=(8, 4, 0, 8, 0), relu=(0, 0, 1)),
    ]
    result = run_stage("MyriadXHwOp", stage(*parts), x, pack(w[:, :, None]), bias, ((1, 5, 1, 1),), outputs=(3,))
    sums = w.astype(np.float64) @ x.reshape(12).astype(np.float64) + bias.astype(np.float64)
    assert_close(result[0, :, 0, 0], np.maximum(sums[:5], 0), 3)


@pytest.mark.parametrize("edges, before", [(1 | 2, 0), (4 | 8, 1), (15, 1)])
def test_max_pooling_pads_repeated_edges(edges, before):
    """Bits: 1 right, 2 bottom, 4 top, 8 left."""
    x = fp16_normal(RANDOM, 2, 3, 5, 5)
    conv = operation(4, pool_type=0, pad=edges, indices=(0, 1, -1, -1, -1), channels=(0, 6), kernel=(3, 3, 2))
    result = run_stage("MyriadXHwOp", stage(conv), x, ((2, 3, 3, 3),), outputs=(1,))
    for n, y, z in itertools.product(range(2), range(3), range(3)):
        rows = slice(max(0, 2 * y - before), 2 * y - before + 3)
        columns = slice(max(0, 2 * z - before), 2 * z - before + 3)
        assert np.array_equal(result[n, :, y, z], x[n, :, rows, columns].max((1, 2)))


def test_average_pooling():
    x = fp16_normal(RANDOM, 1, 3, 6, 6)
    conv = operation(4, pool_type=1, indices=(0, 1, -1, -1, -1), channels=(0, 3), kernel=(3, 2, 3))
    result = run_stage("MyriadXHwOp", stage(conv), x, ((1, 3, 2, 2),), outputs=(1,))
    for y, z in itertools.product(range(2), range(2)):
        assert_close(result[0, :, y, z], x[0, :, 3 * y : 3 * y + 2, 3 * z : 3 * z + 3].astype(np.float64).mean((1, 2)))
