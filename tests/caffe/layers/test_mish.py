"""Mish compared with its definition."""

import numpy as np
from support.reference import check_layer


def test_matches_the_definition():
    def mish(x):
        return [np.array([[v * np.tanh(np.log1p(np.exp(v))) for v in row] for row in x])]

    check_layer("Mish", "", [np.array([[-4.0, -2.5, -0.5], [0.5, 2.9, 7.0]])], mish)
