"""PReLU against its definition."""

import numpy as np
import pytest
from support.reference import assert_close, build_error, check_layer, one_layer_net, run


@pytest.mark.parametrize("shape", [(2, 3, 2, 2), (4, 3), (2, 3, 5), (1, 2, 2, 1, 2)])
def test_one_slope_per_channel(shape):
    rng = np.random.default_rng(1)

    def reference(x, slope):
        y = np.zeros(x.shape)
        for position in np.ndindex(x.shape):
            y[position] = max(0, x[position]) + slope[position[1]] * min(0, x[position])
        return [y]

    check_layer("PReLU", "", [rng.standard_normal(shape)], reference, [rng.standard_normal(shape[1])])


def test_shared_slope():
    rng = np.random.default_rng(2)
    check_layer(
        "PReLU",
        "prelu_param { channel_shared: true }",
        [rng.standard_normal((2, 3, 4))],
        lambda x, slope: [np.maximum(0, x) + slope * np.minimum(0, x)],
        [rng.standard_normal(())],
    )


def test_default_slope_is_a_quarter_also_at_zero():
    x = np.array([[-4.0, 0.0, 8.0]])
    result = run(one_layer_net("PReLU", "", [x.shape]), [x], [], [np.ones((1, 3))])
    assert result.tops[0].tolist() == [[-1, 0, 8]] and result.diffs[0].tolist() == [[0.25, 0.25, 1]]
    assert result.weight_diffs[0].tolist() == [-4, 0, 0]
    net = one_layer_net("PReLU", "prelu_param { filler { value: 0.5 } }", [x.shape])
    assert_close(run(net, [x]).tops[0], [[-2, 0, 8]], "top")


def test_in_place():
    from support.layer_nets import net_of
    from support.reference import input_layer

    net = net_of(
        "force_backward: true " + input_layer("x", (1, 3)) + 'layer { name: "l" type: "PReLU" bottom: "x" top: "x" }'
    )
    net.blobs["x"].data[...] = [[-4, 2, -1]]
    net.forward()
    assert net.blobs["x"].data.tolist() == [[-1, 2, -0.25]]
    net.blobs["x"].diff[...] = 1
    net.backward()
    assert net.blobs["x"].diff.tolist() == [[0.25, 1, 0.25]]
    assert net.params["l"][0].diff.tolist() == [-4, 0, -1]


def test_bottom_without_channels_raises():
    assert "2 axes or more" in build_error("PReLU", "", [(3,)])
