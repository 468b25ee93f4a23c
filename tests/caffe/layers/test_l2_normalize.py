"""L2Normalize compared with its definition."""

import numpy as np
from support.reference import check_layer


def reference(x):
    return [np.stack([item / np.sqrt(sum(v * v for v in item.ravel()) + 1e-7) for item in x])]


def test_matches_the_definition():
    check_layer("L2Normalize", "", [np.random.default_rng(2).standard_normal((3, 2, 4))], reference)
    check_layer("L2Normalize", "", [np.random.default_rng(2).standard_normal((2, 5)) * 1e-4], reference)
