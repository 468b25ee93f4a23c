"""Threshold: 1 above, 0 at and below the threshold; no gradient."""

import numpy as np
import pytest
from support.layer_nets import net_of, run_layer

from caffe.errors import CaffeError


@pytest.mark.parametrize("limit", [None, 0, 0.5, -1.25])
def test_value(limit):
    x = np.array([-1.25, -1, 0, 0.25, 0.5, 0.75], np.float32)
    text = "" if limit is None else f"threshold_param {{ threshold: {limit:g} }}"
    run = run_layer("Threshold", text, x, backward=False)
    assert np.array_equal(run.tops[0], [1.0 if v > (limit or 0) else 0.0 for v in x])


def test_backward_raises():
    net = net_of("""
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } }
        layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 2 } }
        layer { name: "th" type: "Threshold" bottom: "ip" top: "th" loss_weight: 1 }""")
    net.forward()
    with pytest.raises(CaffeError, match=r"net.prototxt:4: layer 'th' \(Threshold\): Threshold has no backward"):
        net.backward()
