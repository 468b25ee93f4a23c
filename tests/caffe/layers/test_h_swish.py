"""HSwish compared with its definition."""

import numpy as np
from support.reference import check_layer


def test_matches_the_definition():
    def swish(x):
        return [np.array([[v * min(max(v + 3, 0), 6) / 6 for v in row] for row in x])]

    check_layer("HSwish", "", [np.array([[-4.0, -2.5, -0.5], [0.5, 2.9, 7.0]])], swish)
