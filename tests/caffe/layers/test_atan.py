"""Atan compared with its definition."""

import math

import numpy as np
from support.reference import check_layer


def test_matches_the_definition():
    x = np.array([[-3.0, -0.2], [0.4, 50.0]])
    check_layer("Atan", "", [x], lambda x: [np.array([[math.atan(v) for v in row] for row in x])])
