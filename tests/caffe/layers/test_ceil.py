"""Ceil compared with its definition, value by value."""

import math

import numpy as np
from support.reference import one_layer_net, run

X = np.array([[-2.5, -1.5, -0.6, -0.01, 0.0], [0.5, 0.49, 1.5, 2.5, 41.2]])


def test_values():
    net = one_layer_net("Ceil", "", [X.shape], force=False)
    expected = [[math.ceil(v) for v in row] for row in X]
    np.testing.assert_array_equal(run(net, [X]).tops[0], expected)
