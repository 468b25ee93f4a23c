"""Reorg compared with darknet's own indices."""

import numpy as np
from support.reference import build_error, check_layer


def darknet(x, stride, reverse):
    """reorg_cpu: memory of C x H x W against memory of C/s^2 x Hs x Ws, item by item."""
    count, channels, height, width = x.shape
    few = channels // stride**2
    flat, out = x.reshape(count, -1), np.zeros((count, x[0].size))
    for c, h, w in np.ndindex(channels, height, width):
        offset = c // few
        row, column = h * stride + offset // stride, w * stride + offset % stride
        large = column + width * stride * (row + height * stride * (c % few))
        small = w + width * (h + height * c)
        source, target = (small, large) if reverse else (large, small)
        out[:, target] = flat[:, source]
    shape = (
        (few, height * stride, width * stride) if reverse else (channels * stride**2, height // stride, width // stride)
    )
    return [out.reshape(count, *shape)]


def test_matches_darknets_indices():
    rng = np.random.default_rng(11)
    check_layer(
        "Reorg", "reorg_param { stride: 2 }", [rng.standard_normal((2, 4, 4, 2))], lambda x: darknet(x, 2, False)
    )
    check_layer(
        "Reorg",
        "reorg_param { stride: 2 reverse: true }",
        [rng.standard_normal((2, 8, 2, 3))],
        lambda x: darknet(x, 2, True),
    )


def test_the_square_must_divide_the_channels():
    assert "multiple of stride^2 = 4" in build_error("Reorg", "reorg_param { stride: 2 }", [(1, 6, 4, 4)])
