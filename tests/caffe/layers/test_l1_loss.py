"""L1Loss compared with loops over entries."""

import math

import numpy as np
import pytest
from support.reference import build_error, check_layer, one_layer_net


def end_point_error(a, b, epsilon, plateau, channels):
    total = 0.0
    for n, i, j in np.ndindex(a.shape[0], *a.shape[2:]):
        square = sum((a[n, c, i, j] - b[n, c, i, j]) ** 2 for c in range(a.shape[1])) / channels
        total += math.sqrt((square if square >= plateau**2 else 0) + epsilon)
    return total


CASES = {
    "": lambda a, b: np.abs(a - b).sum() / 2,
    "l1_loss_param { plateau: 0.8 }": lambda a, b: sum(d for d in np.abs(a - b).flat if d >= 0.8) / 2,
    "l1_loss_param { l2_per_location: true }": lambda a, b: end_point_error(a, b, 1e-2, 0, 1) / 2,
    "l1_loss_param { l2_per_location: true l2_prescale_by_channels: true normalize_by_num_entries: true epsilon: 0.1 "
    "plateau: 0.5 }": lambda a, b: end_point_error(a, b, 0.1, 0.5, 3) / (2 * 2 * 2),
}


@pytest.mark.parametrize("text", CASES)
def test_matches_loops(text):
    rng = np.random.default_rng(6)
    a, b = rng.standard_normal((2, 2, 3, 2, 2))
    check_layer("L1Loss", text, [a, b], lambda a, b: [np.array(CASES[text](a, b))])


def test_missing_labels_do_not_count():
    text = "l1_loss_param { normalize_by_num_entries: true }"
    net = one_layer_net("L1Loss", text, [(1, 1, 1, 3), (1, 1, 1, 3)])
    net.blobs["x0"].data[...] = [[[[1, 2, 3]]]]
    net.blobs["x1"].data[...] = [[[[0, np.nan, 1]]]]
    assert net.forward()["y0"] == pytest.approx(3 / 2)
    net.backward()
    assert net.blobs["x0"].diff.ravel().tolist() == [0.5, 0, 0.5]


def test_one_bottom_is_compared_with_zero():
    net = one_layer_net("L1Loss", "", [(2, 3)])
    net.blobs["x0"].data[...] = [[1, -2, 3], [0, 0, -4]]
    assert net.forward()["y0"] == 5


def test_the_shapes_must_be_equal():
    assert "same shape" in build_error("L1Loss", "", [(2, 3), (2, 4)])
