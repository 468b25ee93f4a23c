"""Silence: no tops, no outputs, zero diffs."""

import numpy as np
from support.layer_nets import net_of, run_layer


def test_bottoms_get_zero_diffs():
    run = run_layer("Silence", "", np.ones((2, 3)), np.ones(4), tops=0, backward=False)
    for i in range(2):
        run.net.blobs[f"b{i}"].diff[...] = 5
    run.net.backward()
    assert all((run.net.blobs[f"b{i}"].diff == 0).all() for i in range(2))


def test_bottoms_are_not_outputs_of_the_net():
    net = net_of("""
        layer { name: "i" type: "Input" top: "a" top: "b" input_param { shape { dim: 2 } } }
        layer { name: "s" type: "Silence" bottom: "b" }""")
    assert net.outputs == ["a"]
