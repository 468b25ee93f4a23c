"""Resample compared with a loop over pixels."""

import math

import numpy as np
import pytest
from support.reference import assert_close, build_error, one_layer_net


def kernel(kind, d):
    d = abs(d)
    if kind == "LINEAR":
        return max(1 - d, 0)
    if d <= 1:
        return 1.5 * d**3 - 2.5 * d**2 + 1
    return -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0


def resampled(x, height, width, kind, antialias):
    y = np.zeros((*x.shape[:2], height, width))
    fy, fx = x.shape[2] / height, x.shape[3] / width
    wide = antialias and (fx > 1 or fy > 1)
    ax, ay = (1 / fx, 1 / fy) if wide else (1, 1)
    for i, j in np.ndindex(height, width):
        row, column = i * fy + fx / 2 - 0.5, j * fx + fy / 2 - 0.5
        near = [int(math.copysign(math.floor(abs(v) + 0.5), v)) for v in (row, column)]
        if kind == "NEAREST":
            y[:, :, i, j] = x[:, :, near[0], near[1]]
            continue
        size = 4 if kind == "CUBIC" else 2
        ry, rx = (2 if f < 1 else math.ceil(size / a) for f, a in ((fy, ay), (fx, ax)))
        total = 0.0
        for a in range(max(near[0] - ry, 0), min(near[0] + ry + 1, x.shape[2])):
            for b in range(max(near[1] - rx, 0), min(near[1] + rx + 1, x.shape[3])):
                weight = kernel(kind, ax * (column - b)) * kernel(kind, ay * (row - a))
                y[:, :, i, j] += weight * x[:, :, a, b]
                total += weight
        y[:, :, i, j] /= total
    return y


@pytest.mark.parametrize("kind", ["NEAREST", "LINEAR", "CUBIC"])
@pytest.mark.parametrize("height, width", [(7, 9), (3, 2), (5, 4)])
@pytest.mark.parametrize("antialias", [True, False])
def test_matches_a_loop_over_the_pixels(kind, height, width, antialias):
    x = np.random.default_rng(15).standard_normal((1, 2, 4, 5)).astype(np.float32)
    text = f"height: {height} width: {width} type: {kind} antialias: {str(antialias).lower()}"
    net = one_layer_net("Resample", f"resample_param {{ {text} }}", [x.shape], force=False)
    net.blobs["x0"].data[...] = x
    assert_close(net.forward()["y0"], resampled(x.astype(float), height, width, kind, antialias), "top")


def test_the_size_is_required():
    assert "expected height and width" in build_error("Resample", "", [(1, 1, 4, 4)])
