"""ScaleRoute: which rows are chosen."""

import numpy as np
import pytest
from support.reference import build_error, one_layer_net, run

SIDES = [10, 20, 40, 80]  # of square regions
REGIONS = np.array([[0, 5, 5, 4 + side, 4 + side] for side in SIDES], float)


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("low_scale: 20 high_scale: 80", [1, 2]),
        ("high_scale: 20", [0]),
        ("low_scale: 30", [2, 3]),
        ("", [0, 1, 2, 3]),
        ("low_scale: 90 high_scale: 100", [3]),  # none: the nearest to the middle
        ("low_scale: 21 high_scale: 38", [1]),  # 20 is nearer to sqrt(21 * 38) = 28.2 than 40, by their ratios
    ],
)
def test_rows(text, chosen):
    values = np.random.default_rng(1).standard_normal((4, 3, 2, 2)).astype(np.float32)
    net = one_layer_net("ScaleRoute", f"scale_route_param {{ {text} }}", [(4, 5), (4, 3, 2, 2)], tops=2, force=False)
    regions, others = run(net, [REGIONS, values]).tops
    np.testing.assert_array_equal(regions, REGIONS[chosen])
    np.testing.assert_array_equal(others, values[chosen])


def test_errors():
    assert "all bottoms must have 4 rows" in build_error("ScaleRoute", "", [(4, 5), (3, 2)], tops=2)
    text = "scale_route_param { low_scale: 3 high_scale: 2 }"
    assert "must not be below low_scale" in build_error("ScaleRoute", text, [(4, 5)])
