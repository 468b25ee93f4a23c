"""UnPooling compared with loops over the windows."""

import math

import numpy as np
import pytest
from support.reference import assert_close, build_error, check_layer, one_layer_net, run


def unpool(x, method, kernel, stride, pad):
    """The top of a bottom of 4 axes."""
    sizes = [(n - 1) * stride - 2 * pad + kernel for n in x.shape[2:]]
    y, windows = np.zeros((*x.shape[:2], *sizes)), np.zeros(sizes)

    def places(index, size):
        return range(max(0, index * stride - pad), min(index * stride - pad + kernel, size))

    for i, j in np.ndindex(*x.shape[2:]):
        for a in places(i, sizes[0]):
            for b in places(j, sizes[1]):
                windows[a, b] += 1
    for n, c, i, j in np.ndindex(*x.shape):
        if method == "FIXED":
            a, b = (
                min(max(math.floor((2 * (index * stride - pad) + kernel - 1) / 2), 0), size - 1)
                for index, size in zip((i, j), sizes)
            )
            y[n, c, a, b] = x[n, c, i, j]
            continue
        lengths = [
            min(index * stride - pad + kernel, size + pad) - (index * stride - pad)
            for index, size in zip((i, j), sizes)
        ]
        share = x[n, c, i, j] / (math.prod(lengths) if method == "DIV" else 1)
        for a in places(i, sizes[0]):
            for b in places(j, sizes[1]):
                y[n, c, a, b] += share / windows[a, b]
    return [y]


@pytest.mark.parametrize("method", ["FIXED", "DIV", "REP"])
@pytest.mark.parametrize(("kernel", "stride", "pad"), [(2, 2, 0), (3, 2, 1), (3, 1, 0), (4, 2, 2), (1, 1, 0)])
def test_windows(method, kernel, stride, pad):
    x = np.random.default_rng(kernel).standard_normal((2, 2, 3, 4))
    text = f"unpooling_param {{ unpool: {method} out_kernel_size: {kernel} out_stride: {stride} out_pad: {pad} }}"
    check_layer("UnPooling", text, [x], lambda x: unpool(x, method, kernel, stride, pad))


@pytest.mark.parametrize(("size", "kernel", "stride", "pad"), [((9, 12), 3, 3, 0), ((1, 1), 1, 1, 0)])
def test_the_second_bottom_gives_the_size(size, kernel, stride, pad):
    x = np.random.default_rng(3).standard_normal((1, 2, 3, 4) if size[0] > 1 else (1, 2, 1, 1))
    net = one_layer_net("UnPooling", "unpooling_param { unpool: REP }", [x.shape, (1, 1, *size)], force=False)
    result = run(net, [x, np.zeros((1, 1, *size))]).tops[0]
    assert result.shape == (1, 2, *size)
    assert_close(result, unpool(x, "REP", kernel, stride, pad)[0], "top")


def test_a_kernel_is_required():
    assert "must be positive" in build_error("UnPooling", "unpooling_param { out_stride: 2 }", [(1, 1, 2, 2)])
