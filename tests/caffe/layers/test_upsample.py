"""Upsample compared with loops: SegNet's unpooling, and repeated pixels."""

import numpy as np
from support.reference import build_error, check_layer


def test_values_go_to_the_positions_of_the_mask():
    mask = np.array([[[[0, 3, 7], [8, 10, 23]]]], float)

    def unpooled(x, mask):
        y = np.zeros((1, 1, 4, 6))
        for i, j in np.ndindex(2, 3):
            place = int(mask[0, 0, i, j])
            y[0, 0, place // 6, place % 6] = x[0, 0, i, j]
        return [y]

    x = np.random.default_rng(9).standard_normal((1, 1, 2, 3))
    check_layer("Upsample", "upsample_param { scale: 2 }", [x, mask], unpooled, fixed=(1,))


def test_one_bottom_repeats_pixels():
    def larger(x):
        y = np.zeros((*x.shape[:2], x.shape[2] * 3, x.shape[3] * 3))
        for n, c, i, j in np.ndindex(*y.shape):
            y[n, c, i, j] = x[n, c, i // 3, j // 3]
        return [y]

    check_layer(
        "Upsample", "upsample_param { scale: 3 }", [np.random.default_rng(9).standard_normal((1, 2, 2, 3))], larger
    )


def test_sizes_of_segnet():
    def unpooled(x, mask):
        y = np.zeros((1, 1, 5, 7))
        y.reshape(-1)[mask.astype(int).ravel()] = x.ravel()
        return [y]

    x, mask = np.ones((1, 1, 3, 4)), np.arange(12.0).reshape(1, 1, 3, 4)
    check_layer(
        "Upsample", "upsample_param { scale: 2 pad_out_h: true pad_out_w: true }", [x, mask], unpooled, fixed=(1,)
    )
    check_layer("Upsample", "upsample_param { upsample_h: 5 upsample_w: 7 }", [x, mask], unpooled, fixed=(1,))


def test_mask_and_bottom_must_agree():
    assert "same shape" in build_error("Upsample", "upsample_param { scale: 2 }", [(1, 1, 2, 2), (1, 1, 2, 3)])
