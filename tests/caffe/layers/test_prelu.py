"""PReLU against its definition."""

import numpy as np
import pytest
from support.reference import close, hold, one_layer_net, refusal, run


@pytest.mark.parametrize("shape", [(2, 3, 2, 2), (4, 3), (2, 3, 5), (1, 2, 2, 1, 2)])
def test_a_slope_a_channel(shape):
    rng = np.random.default_rng(1)

    def reference(x, slope):
        y = np.zeros(x.shape)
        for place in np.ndindex(x.shape):
            y[place] = max(0, x[place]) + slope[place[1]] * min(0, x[place])
        return [y]

    hold("PReLU", "", [rng.standard_normal(shape)], reference, [rng.standard_normal(shape[1])])


def test_one_slope_for_all():
    rng = np.random.default_rng(2)
    hold(
        "PReLU",
        "prelu_param { channel_shared: true }",
        [rng.standard_normal((2, 3, 4))],
        lambda x, slope: [np.maximum(0, x) + slope * np.minimum(0, x)],
        [rng.standard_normal(())],
    )


def test_starts_at_a_quarter_and_takes_the_slopes_derivative_at_zero():
    x = np.array([[-4.0, 0.0, 8.0]])
    result = run(one_layer_net("PReLU", "", [x.shape]), [x], [], [np.ones((1, 3))])
    assert result.tops[0].tolist() == [[-1, 0, 8]] and result.diffs[0].tolist() == [[0.25, 0.25, 1]]
    assert result.weight_diffs[0].tolist() == [-4, 0, 0]
    net = one_layer_net("PReLU", "prelu_param { filler { value: 0.5 } }", [x.shape])
    close(run(net, [x]).tops[0], [[-2, 0, 8]], "top")


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


def test_refuses_a_bottom_without_channels():
    assert "2 axes or more" in refusal("PReLU", "", [(3,)])
