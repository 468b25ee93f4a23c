"""MaskPooling compared with a loop over channels."""

import numpy as np
from support.reference import build_error, check_layer


def test_every_channel_is_multiplied_by_the_mask():
    rng = np.random.default_rng(4)
    x, mask = rng.standard_normal((2, 3, 2, 4)), rng.standard_normal((2, 1, 2, 4))
    check_layer("MaskPooling", "", [x, mask], lambda x, m: [np.stack([x[:, c] * m[:, 0] for c in range(3)], 1)])


def test_the_mask_has_one_channel():
    assert "the mask must be (2, 1, 4, 4)" in build_error("MaskPooling", "", [(2, 3, 4, 4), (2, 3, 4, 4)])
