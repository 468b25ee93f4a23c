"""PriorBoxClustered compared with a loop over positions and sizes."""

import numpy as np
from support.reference import assert_close, build_error, one_layer_net, run


def test_every_position_has_a_box_of_each_size():
    text = "prior_box_param { width: 8 height: 12 width: 20 height: 10 variance: 0.1 step: 16 }"
    net = one_layer_net("PriorBoxClustered", text, [(1, 3, 2, 3), (1, 3, 32, 48)], force=False)
    expected = []
    for i, j in np.ndindex(2, 3):
        for w, h in ((8, 12), (20, 10)):
            x, y = (j + 0.5) * 16, (i + 0.5) * 16
            expected += [(x - w / 2) / 48, (y - h / 2) / 32, (x + w / 2) / 48, (y + h / 2) / 32]
    top = run(net, []).tops[0]
    assert_close(top[0, 0], expected, "boxes")
    assert (top[0, 1] == np.float32(0.1)).all()


def test_as_many_widths_as_heights():
    assert "as many widths" in build_error("PriorBoxClustered", "prior_box_param { width: 8 }", [(1, 3, 2, 2)] * 2)
