"""SpatialTransformer compared with a loop over samples."""

import math

import numpy as np
from support.reference import build_error, check_layer


def transformed(x, theta, rows, columns):
    y = np.zeros((*x.shape[:2], rows, columns))
    height, width = x.shape[2:]
    for n, c, i, j in np.ndindex(y.shape):
        place = theta[n].reshape(2, 3) @ [2 * i / rows - 1, 2 * j / columns - 1, 1]
        row, column = (place[0] + 1) / 2 * height, (place[1] + 1) / 2 * width
        for a in (math.floor(row), math.floor(row) + 1):
            for b in (math.floor(column), math.floor(column) + 1):
                if 0 <= a < height and 0 <= b < width:
                    y[n, c, i, j] += x[n, c, a, b] * (1 - abs(row - a)) * (1 - abs(column - b))
    return [y]


def test_matches_a_loop_over_the_samples():
    rng = np.random.default_rng(12)
    x, theta = rng.standard_normal((2, 2, 3, 4)), rng.standard_normal((2, 6))
    check_layer("SpatialTransformer", "", [x, theta], lambda x, t: transformed(x, t, 3, 4))


def test_fixed_entries_and_another_size():
    rng = np.random.default_rng(12)
    x, theta = rng.standard_normal((1, 1, 3, 4)), rng.standard_normal((1, 3))

    def expected(x, t):
        full = np.array([[0.5, t[0, 0], t[0, 1], 0, 0.7, t[0, 2]]])
        return transformed(x, full, 2, 5)

    text = "st_param { output_H: 2 output_W: 5 theta_1_1: 0.5 theta_2_1: 0 theta_2_2: 0.7 }"
    check_layer("SpatialTransformer", text, [x, theta], expected)


def test_the_number_of_entries():
    assert "must be 1 x 5" in build_error("SpatialTransformer", "st_param { theta_1_1: 1 }", [(1, 1, 3, 3), (1, 6)])
