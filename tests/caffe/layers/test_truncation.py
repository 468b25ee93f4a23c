"""Truncation compared with its definition, value by value."""

import numpy as np
from support.reference import check_layer

X = np.array([[-40.0, -3.3, -1.7, -0.6, -0.01], [0.02, 0.45, 1.2, 2.7, 41.0]])


def test_values():
    def reference(x):
        return [np.array([[min(max(v, -0.5), 1) for v in row] for row in x])]

    check_layer("Truncation", "truncation_param { lower_bound: -0.5 upper_bound: 1 }", [X], reference)
