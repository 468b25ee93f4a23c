"""ReLU6 compared with its definition."""

import numpy as np
import pytest
from support.reference import check_layer

X = np.array([[-3.0, -0.5, 0.3], [5.9, 6.5, 100.0]])


@pytest.mark.parametrize("slope", [0, 0.25])
def test_matches_the_definition(slope):
    def relu6(x):
        return [np.array([[min(6, v if v > 0 else slope * v) for v in row] for row in x])]

    check_layer("ReLU6", f"relu6_param {{ negative_slope: {slope} }}", [X], relu6)


@pytest.mark.parametrize(("text", "least", "greatest"), [("relu6: true", 0, 6), ("maximum: 5 minimum: 0.2", 0.2, 5)])
def test_synopsys_limits_of_relu_are_the_same_bounds(text, least, greatest):
    check_layer(
        "ReLU",
        f"relu_param {{ {text} }}",
        [X],
        lambda x: [np.array([[min(max(v, least), greatest) for v in r] for r in x])],
    )
