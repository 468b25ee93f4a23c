"""SeLu compared with its definition."""

import math

import numpy as np
import pytest
from support.reference import check_layer


@pytest.mark.parametrize(
    ("text", "scale", "alpha"), [("", 1.050700987, 1.67326324), ("selu_param { lambda: 2 alpha: 0.5 }", 2, 0.5)]
)
def test_matches_the_definition(text, scale, alpha):
    def selu(x):
        return [np.array([[scale * (v if v > 0 else alpha * (math.exp(v) - 1)) for v in row] for row in x])]

    check_layer("SeLu", text, [np.array([[-3.0, -0.2], [0.4, 5.0]])], selu)
