"""Correlation compared with loops over positions and displacements."""

import math

import numpy as np
import pytest
from support.reference import build_error, check_layer


def correlated(a, b, pad, kernel, most, stride, step, subtract=False):
    a, b = (np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad))) for x in (a, b))
    border = most + (kernel - 1) // 2
    height, width = (math.ceil((n - 2 * border) / stride) for n in a.shape[2:])
    moves = [
        (y * step, x * step)
        for y in range(-(most // step), most // step + 1)
        for x in range(-(most // step), most // step + 1)
    ]
    y = np.zeros((len(a), len(moves), height, width))
    for n, (c, (dy, dx)), i, j in (
        (n, m, i, j) for n in range(len(a)) for m in enumerate(moves) for i, j in np.ndindex(height, width)
    ):
        top, left = i * stride + most, j * stride + most
        own = a[n, :, top : top + kernel, left : left + kernel]
        other = b[n, :, top + dy : top + dy + kernel, left + dx : left + dx + kernel]
        y[n, c, i, j] = np.mean(abs(own - other) if subtract else own * other)
    return [y]


@pytest.mark.parametrize("case", [(1, 1, 1, 1, 1), (2, 3, 2, 2, 2), (2, 1, 2, 1, 2)])
@pytest.mark.parametrize("subtract", [False, True])
def test_matches_loops(case, subtract):
    pad, kernel, most, stride, step = case
    a, b = np.random.default_rng(7).standard_normal((2, 1, 2, 4, 5))
    text = f"pad: {pad} kernel_size: {kernel} max_displacement: {most} stride_1: {stride} stride_2: {step}"
    text += " correlation_type: SUBTRACT" if subtract else ""
    check_layer(
        "Correlation", f"correlation_param {{ {text} }}", [a, b], lambda a, b: correlated(a, b, *case, subtract)
    )


def test_the_displacement_must_fit():
    text = "correlation_param { kernel_size: 1 max_displacement: 3 }"
    assert "do not fit" in build_error("Correlation", text, [(1, 2, 5, 5)] * 2)
