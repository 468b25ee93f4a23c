"""Im2col compared with its definition."""

import numpy as np
import pytest
from support.reference import build_error, check_layer


def reference(begin, kernel, stride, pad, dilation):
    def im2col(x):
        spatial = x.shape[begin + 1 :]
        out = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(spatial, kernel, stride, pad, dilation)]
        size = int(np.prod(kernel))
        y = np.zeros((*x.shape[:begin], x.shape[begin] * size, *out))
        for c in range(x.shape[begin]):
            for k, element in enumerate(np.ndindex(*kernel)):
                for top in np.ndindex(*out):
                    position = tuple(t * s - p + e * d for t, s, p, e, d in zip(top, stride, pad, element, dilation))
                    if all(0 <= i < n for i, n in zip(position, spatial)):
                        y[(slice(None),) * begin + (c * size + k, *top)] = x[(slice(None),) * begin + (c, *position)]
        return [y]

    return im2col


@pytest.mark.parametrize(
    ("text", "shape", "settings"),
    [
        ("kernel_size: 3 stride: 2 pad: 1", (2, 2, 4, 5), (1, (3, 3), (2, 2), (1, 1), (1, 1))),
        (
            "kernel_h: 2 kernel_w: 3 dilation: 2 pad_h: 0 pad_w: 2",
            (1, 2, 4, 4),
            (1, (2, 3), (1, 1), (0, 2), (2, 2)),
        ),
        ("kernel_size: 2", (2, 2, 4), (1, (2,), (1,), (0,), (1,))),
        ("kernel_size: 2 axis: -3 stride: 1 stride: 2", (2, 2, 2, 3, 4), (2, (2, 2), (1, 2), (0, 0), (1, 1))),
        ("kernel_size: 2 pad: 1 stride: 2", (1, 1, 2, 3, 2), (1, (2,) * 3, (2,) * 3, (1,) * 3, (1,) * 3)),
    ],
)
def test_matches_the_definition(text, shape, settings):
    x = np.random.default_rng(0).standard_normal(shape)
    check_layer("Im2col", f"convolution_param {{ {text} }}", [x], reference(*settings))


def test_invalid_parameters_raise():
    assert "no spatial axes" in build_error("Im2col", "convolution_param { kernel_size: 2 axis: 3 }", [(1, 2, 3, 4)])
    assert "expected one kernel_size" in build_error("Im2col", "", [(1, 2, 3, 4)])
