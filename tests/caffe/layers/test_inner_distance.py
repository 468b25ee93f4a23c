"""InnerDistance against loops."""

import numpy as np
import pytest
from support.reference import hold, refusal


@pytest.mark.parametrize("kind", ["L1", "L2"])
def test_equals_a_loop(kind):
    def distances(x, centres):
        y = np.zeros((len(x), len(centres)))
        for n, k in np.ndindex(*y.shape):
            apart = x[n].ravel() - centres[k]
            y[n, k] = abs(apart).sum() if kind == "L1" else (apart**2).sum()
        return [y]

    rng = np.random.default_rng(25)
    text = f'inner_distance_param {{ num_output: 3 distance_type: "{kind}" }}'
    hold("InnerDistance", text, [rng.standard_normal((2, 2, 3))], distances, [rng.standard_normal((3, 6))])


def test_another_distance_is_refused():
    assert "L1 or L2" in refusal(
        "InnerDistance", 'inner_distance_param { num_output: 2 distance_type: "L3" }', [(2, 3)]
    )
