"""ChannelScale compared with loops."""

import numpy as np
import pytest
from support.reference import assert_close, build_error, check_layer, one_layer_net, run

RNG = np.random.default_rng(6)
X, SCALE = RNG.standard_normal((2, 3, 2, 2)), RNG.standard_normal((2, 1, 2, 2))


def scaled(x, scale):
    y = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(x.shape):
        y[n, c, i, j] = x[n, c, i, j] * scale[n, 0, i, j]
    return [y]


def test_matches_loops():
    check_layer("ChannelScale", "", [X, SCALE], scaled)


@pytest.mark.parametrize("field", ["do_forward", "do_backward_feature", "do_backward_scale"])
def test_fields(field):
    net = one_layer_net("ChannelScale", f"channel_scale_param {{ {field}: false }}", [X.shape, SCALE.shape])
    dtop = RNG.standard_normal(X.shape)
    result = run(net, [X, SCALE], (), [dtop])
    assert_close(result.tops[0], X if field == "do_forward" else scaled(X, SCALE)[0], "top")
    assert_close(result.diffs[0], dtop if field == "do_backward_feature" else dtop * SCALE, "gradient")
    of_scale = (dtop * X).sum(1, keepdims=True) * (field != "do_backward_scale")
    assert_close(result.diffs[1], of_scale, "gradient of the scale")


def test_errors():
    assert "one number for each item" in build_error("ChannelScale", "", [(2, 3, 2, 2), (2, 3, 2, 2)])
    assert "global_scale" in build_error("ChannelScale", "channel_scale_param { global_scale: true }", [(2, 3), (2,)])
