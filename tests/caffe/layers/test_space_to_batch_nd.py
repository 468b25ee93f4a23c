"""SpaceToBatchND compared with a loop over positions."""

import numpy as np
from support.reference import build_error, check_layer


def spread(x, block, pads):
    padded = np.pad(x, [(0, 0), pads[:2], pads[2:], (0, 0)])
    rows, columns = (n // b for n, b in zip(padded.shape[1:3], block))
    y = np.zeros((x.shape[0] * block[0] * block[1], rows, columns, x.shape[3]))
    for a, b, n in np.ndindex(*block, x.shape[0]):
        for i, j in np.ndindex(rows, columns):
            y[(a * block[1] + b) * x.shape[0] + n, i, j] = padded[n, i * block[0] + a, j * block[1] + b]
    return [y]


def test_matches_a_loop():
    x = np.random.default_rng(33).standard_normal((2, 3, 4, 2))
    text = "space_to_batch_nd_param { block_shape: [2, 3] paddings: [0, 1, 1, 1] }"
    check_layer("SpaceToBatchND", text, [x], lambda x: spread(x, (2, 3), (0, 1, 1, 1)))


def test_blocks_must_divide():
    text = "space_to_batch_nd_param { block_shape: [2, 2] }"
    assert "must divide" in build_error("SpaceToBatchND", text, [(1, 3, 4, 2)])
