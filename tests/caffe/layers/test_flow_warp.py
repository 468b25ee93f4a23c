"""FlowWarp compared with a loop over pixels."""

import numpy as np
from support.reference import build_error, check_layer, one_layer_net


def warped(x, flow):
    y = np.zeros_like(x)
    height, width = x.shape[2:]
    for n, i, j in np.ndindex(len(x), height, width):
        column, row = j + flow[n, 0, i, j], i + flow[n, 1, i, j]
        if not (0 <= column < width and 0 <= row < height):
            continue
        left, top = int(column), int(row)
        right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
        across, down = column - left, row - top
        upper = x[n, :, top, left] * (1 - across) + x[n, :, top, right] * across
        lower = x[n, :, bottom, left] * (1 - across) + x[n, :, bottom, right] * across
        y[n, :, i, j] = upper * (1 - down) + lower * down
    return [y]


def test_matches_a_loop_over_the_pixels():
    rng = np.random.default_rng(11)
    x, flow = rng.standard_normal((2, 2, 3, 4)), 1.3 * rng.standard_normal((2, 2, 3, 4))
    check_layer("FlowWarp", "", [x, flow], warped)


def test_pixels_from_outside_are_not_a_number():
    net = one_layer_net("FlowWarp", "flow_warp_param { fill_value: NOT_A_NUMBER }", [(1, 1, 1, 2), (1, 2, 1, 2)])
    net.blobs["x0"].data[...] = [[[[5, 7]]]]
    net.blobs["x1"].data[0, 0] = [[1, 1]]
    top = net.forward()["y0"].ravel()
    assert top[0] == 7 and np.isnan(top[1])


def test_the_flow_has_two_channels():
    assert "the flow must be (1, 2, 4, 5)" in build_error("FlowWarp", "", [(1, 3, 4, 5), (1, 3, 4, 5)])
