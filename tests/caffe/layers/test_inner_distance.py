"""InnerDistance compared with loops."""

import numpy as np
import pytest
from support.reference import build_error, check_layer


@pytest.mark.parametrize("kind", ["L1", "L2"])
def test_matches_a_loop(kind):
    def distances(x, centers):
        y = np.zeros((len(x), len(centers)))
        for n, k in np.ndindex(*y.shape):
            apart = x[n].ravel() - centers[k]
            y[n, k] = abs(apart).sum() if kind == "L1" else (apart**2).sum()
        return [y]

    rng = np.random.default_rng(25)
    text = f'inner_distance_param {{ num_output: 3 distance_type: "{kind}" }}'
    check_layer("InnerDistance", text, [rng.standard_normal((2, 2, 3))], distances, [rng.standard_normal((3, 6))])


def test_unknown_distance_raises():
    assert "L1 or L2" in build_error(
        "InnerDistance", 'inner_distance_param { num_output: 2 distance_type: "L3" }', [(2, 3)]
    )
