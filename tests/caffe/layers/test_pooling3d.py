"""Pooling3D compared with loops over its windows."""

import numpy as np
import pytest
from support.reference import build_error, check_layer


def pooled(x, kernel, stride, pad, mean, floor=False):
    """Pool over the last three axes."""
    rooms = [size + 2 * p - k for size, k, p in zip(x.shape[2:], kernel, pad)]
    outs = [room // s + 1 if floor else -(-room // s) + 1 for room, s in zip(rooms, stride)]
    y = np.zeros((*x.shape[:2], *outs))
    for place in np.ndindex(*outs):
        starts = [i * s - p for i, s, p in zip(place, stride, pad)]
        ends = [min(a + k, size + p) for a, k, size, p in zip(starts, kernel, x.shape[2:], pad)]
        count = np.prod([b - a for a, b in zip(starts, ends)])
        part = x[(..., *(slice(max(a, 0), max(b, 0)) for a, b in zip(starts, ends)))]
        y[(..., *place)] = part.sum((2, 3, 4)) / count if mean else part.max((2, 3, 4))
    return [y]


SETTINGS = [
    ("kernel_size: 2 kernel_depth: 1 stride: 2 temporal_stride: 1", (1, 2, 2), (1, 2, 2), (0, 0, 0), False),
    ("kernel_size: 3 kernel_l: 2 stride: 2 stride_l: 2", (2, 3, 3), (2, 2, 2), (0, 0, 0), False),
    ("kernel_d: 3 kernel_h: 2 kernel_w: 2 stride_d: 2 stride: 1", (3, 2, 2), (2, 1, 1), (0, 0, 0), True),
    ("kernel_size: 2 stride: 3", (2, 2, 2), (3, 3, 3), (0, 0, 0), True),
    ("kernel_size: 3 stride: 3 ceil_mode: true", (3, 3, 3), (3, 3, 3), (0, 0, 0), False),
    ("kernel_size: 3 pad_h0: 1 pad_h1: 1 pad_w0: 1 pad_w1: 1", (3, 3, 3), (1, 1, 1), (0, 1, 1), True),
]


@pytest.mark.parametrize(("text", "kernel", "stride", "pad", "floor"), SETTINGS, ids=[s[0] for s in SETTINGS])
@pytest.mark.parametrize("mean", [False, True], ids=["max", "mean"])
def test_matches_loops(text, kernel, stride, pad, floor, mean):
    x = np.random.default_rng(9).standard_normal((1, 1, 4, 5, 6))
    fields = f"pooling3d_param {{ pool: {'AVE' if mean else 'MAX'} {text} }}"
    check_layer("Pooling3D", fields, [x], lambda x: pooled(x, kernel, stride, pad, mean, floor))


def test_global_pooling():
    x = np.random.default_rng(9).standard_normal((2, 3, 2, 3, 4))
    text = "pooling3d_param { pool: AVE global_pooling: true }"
    check_layer("Pooling3D", text, [x], lambda x: [x.mean((2, 3, 4), keepdims=True)])


def test_different_pads_are_an_error():
    text = "pooling3d_param { pool: MAX kernel_size: 2 pad_d0: 1 }"
    assert "pad_d0 1 and pad_d1 0 must be equal" in build_error("Pooling3D", text, [(1, 1, 3, 3, 3)])
