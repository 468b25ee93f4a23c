"""ShuffleChannel compared with a loop."""

import numpy as np
from support.reference import build_error, check_layer


def test_shuffles_the_channels():
    def shuffled(x, group=3):
        y, each = np.zeros(x.shape), x.shape[1] // 3
        for g in range(group):
            for k in range(each):
                y[:, k * group + g] = x[:, g * each + k]
        return [y]

    check_layer(
        "ShuffleChannel",
        "shuffle_channel_param { group: 3 }",
        [np.random.default_rng(5).standard_normal((2, 6, 2, 3))],
        shuffled,
    )


def test_the_group_must_divide_the_channels():
    assert "must divide" in build_error("ShuffleChannel", "shuffle_channel_param { group: 4 }", [(1, 6, 2, 2)])
