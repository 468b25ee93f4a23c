"""UpsampleDarknet compared with a loop."""

import numpy as np
from support.reference import check_layer


def test_repeats_pixels():
    def larger(x):
        y = np.zeros((*x.shape[:2], x.shape[2] * 2, x.shape[3] * 2))
        for n, c, i, j in np.ndindex(*y.shape):
            y[n, c, i, j] = x[n, c, i // 2, j // 2]
        return [y]

    check_layer(
        "UpsampleDarknet",
        "upsample_darknet_param { stride: 2 }",
        [np.random.default_rng(9).standard_normal((1, 2, 2, 3))],
        larger,
    )
