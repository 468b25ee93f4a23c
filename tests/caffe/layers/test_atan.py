"""Atan against its definition."""

import math

import numpy as np
from support.reference import hold


def test_equals_the_definition():
    x = np.array([[-3.0, -0.2], [0.4, 50.0]])
    hold("Atan", "", [x], lambda x: [np.array([[math.atan(v) for v in row] for row in x])])
