"""The draws of all solvers together are those of one solver with the joint batch."""

import numpy as np
import pytest

from caffe.data.shared_draws import SharedDraws


def _shared(rank, count):
    return SharedDraws(np.random.default_rng(3), rank, count, np.random.default_rng([3, rank]))


@pytest.mark.parametrize(
    "draw, joint",
    [
        (lambda rng: rng.integers(0, 2, 4), lambda rng: rng.integers(0, 2, 12)),
        (lambda rng: rng.integers(0, [5, 7], (4, 2)), lambda rng: rng.integers(0, [5, 7], (12, 2))),
        (lambda rng: rng.integers(0, np.full((4, 2), 9)), lambda rng: rng.integers(0, np.full((12, 2), 9))),
        (lambda rng: rng.uniform(-1, 2, 4), lambda rng: rng.uniform(-1, 2, 12)),
        (lambda rng: rng.random(4), lambda rng: rng.random(12)),
    ],
)
def test_parts_make_up_the_joint_draw(draw, joint):
    expected = joint(np.random.default_rng(3))
    actual = np.empty_like(expected)
    for rank in range(3):
        actual[rank::3] = draw(_shared(rank, 3))
    assert np.array_equal(actual, expected)


def test_noise_differs_between_solvers():
    one, other = (_shared(rank, 2).standard_normal((3, 3), np.float32) for rank in (0, 1))
    assert not np.array_equal(one, other)
    assert not np.array_equal(*(_shared(rank, 2).uniform(0, 1) for rank in (0, 1)))
