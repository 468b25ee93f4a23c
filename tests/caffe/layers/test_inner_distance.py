"""InnerDistance compared with loops."""

import numpy as np
import pytest
from support.reference import assert_close, build_error, check_layer, one_layer_net, run


def distances(x, centers, kind):
    y = np.zeros((len(x), len(centers)))
    for n, k in np.ndindex(*y.shape):
        apart = x[n].ravel() - centers[k]
        y[n, k] = abs(apart).sum() if kind == "L1" else (apart**2).sum()
    return [y]


@pytest.mark.parametrize("kind", ["L1", "L2"])
@pytest.mark.parametrize("own", [True, False], ids=["own centers", "centers of a bottom"])
def test_matches_a_loop(kind, own):
    rng = np.random.default_rng(25)
    x, centers = rng.standard_normal((2, 2, 3)), rng.standard_normal((3, 6))
    text = f'inner_distance_param {{ {"num_output: 3" if own else ""} distance_type: "{kind}" }}'
    bottoms, weights = ([x], [centers]) if own else ([x, centers], [])
    check_layer("InnerDistance", text, bottoms, lambda x, c: distances(x, c, kind), weights)


def test_normalized_centers():
    rng = np.random.default_rng(25)
    x, centers = rng.standard_normal((2, 6)), rng.standard_normal((3, 6))
    net = one_layer_net("InnerDistance", "inner_distance_param { num_output: 3 normalize: true }", [(2, 6)])
    unit = centers / np.sqrt((centers**2).sum(1, keepdims=True) + 1e-6)
    assert_close(run(net, [x], [centers]).tops[0], distances(x, unit, "L2")[0], "top")


def test_unknown_distance_raises():
    assert "L1 or L2" in build_error(
        "InnerDistance", 'inner_distance_param { num_output: 2 distance_type: "L3" }', [(2, 3)]
    )
