"""Mish against its definition."""

import numpy as np
from support.reference import hold


def test_equals_the_definition():
    def mish(x):
        return [np.array([[v * np.tanh(np.log1p(np.exp(v))) for v in row] for row in x])]

    hold("Mish", "", [np.array([[-4.0, -2.5, -0.5], [0.5, 2.9, 7.0]])], mish)
