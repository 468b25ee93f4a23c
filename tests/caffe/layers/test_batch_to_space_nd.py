"""BatchToSpaceND compared with a loop over positions."""

import numpy as np
from support.reference import build_error, check_layer


def test_matches_a_loop():
    def joined(x):
        count, (rows, columns) = x.shape[0] // 6, x.shape[1:3]
        y = np.zeros((count, rows * 2, columns * 3, x.shape[3]))
        for a, b, n, i, j in np.ndindex(2, 3, count, rows, columns):
            y[n, i * 2 + a, j * 3 + b] = x[(a * 3 + b) * count + n, i, j]
        return [y[:, :-1, 1:-1]]

    x = np.random.default_rng(34).standard_normal((12, 2, 2, 3))
    check_layer("BatchToSpaceND", "batch_to_space_nd_param { block_shape: [2, 3] crops: [0, 1, 1, 1] }", [x], joined)


def test_blocks_must_divide_the_batch():
    assert "divide the batch" in build_error(
        "BatchToSpaceND", "batch_to_space_nd_param { block_shape: [2, 2] }", [(3, 2, 2, 1)]
    )
