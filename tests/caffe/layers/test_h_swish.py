"""HSwish against its definition."""

import numpy as np
from support.reference import hold


def test_equals_the_definition():
    def swish(x):
        return [np.array([[v * min(max(v + 3, 0), 6) / 6 for v in row] for row in x])]

    hold("HSwish", "", [np.array([[-4.0, -2.5, -0.5], [0.5, 2.9, 7.0]])], swish)
