"""DepthToSpace compared with loops over pixels."""

import numpy as np
import pytest
from support.reference import build_error, check_layer


@pytest.mark.parametrize("layout", ["NCHW", "DCR", "CRD", "NHWC"])
def test_matches_a_loop(layout):
    last = layout == "NHWC"

    def dealt(x):
        planes = x.transpose(0, 3, 1, 2) if last else x
        y = np.zeros((1, 3, 4, 6))
        for c, i, j in np.ndindex(3, 4, 6):
            place = i % 2 * 2 + j % 2
            y[0, c, i, j] = planes[0, c * 4 + place if layout == "CRD" else place * 3 + c, i // 2, j // 2]
        return [y.transpose(0, 2, 3, 1) if last else y]

    x = np.random.default_rng(26).standard_normal((1, 2, 3, 12) if last else (1, 12, 2, 3))
    check_layer("DepthToSpace", f'depth_to_space_param {{ block_size: 2 data_format: "{layout}" }}', [x], dealt)


def test_the_block_must_match():
    assert "does not fit" in build_error(
        "DepthToSpace", 'depth_to_space_param { block_size: 2 data_format: "DCR" }', [(1, 6, 2, 2)]
    )
