"""Convolution3D compared with loops."""

import numpy as np
from support.reference import check_layer


def convolved(x, weight, bias, stride, pad):
    padded = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in pad)])
    kernel = weight.shape[2:]
    outs = [(size - k) // s + 1 for size, k, s in zip(padded.shape[2:], kernel, stride)]
    y = np.zeros((len(x), len(weight), *outs))
    for place in np.ndindex(*outs):
        window = tuple(slice(i * s, i * s + k) for i, s, k in zip(place, stride, kernel))
        for n, o in np.ndindex(*y.shape[:2]):
            y[(n, o, *place)] = (padded[(n, slice(None), *window)] * weight[o]).sum() + bias[o]
    return [y]


def test_matches_loops():
    rng = np.random.default_rng(4)
    x, weight, bias = rng.standard_normal((1, 2, 3, 4, 5)), rng.standard_normal((2, 2, 2, 3, 3)), rng.standard_normal(2)
    text = (
        "convolution3d_param { num_output: 2 kernel_size: 3 kernel_depth: 2 pad: 1 temporal_pad: 0 stride: 2 "
        "temporal_stride: 1 filter_group: 2 }"
    )
    check_layer("Convolution3D", text, [x], lambda x, w, b: convolved(x, w, b, (1, 2, 2), (0, 1, 1)), [weight, bias])
