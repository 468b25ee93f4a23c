"""Filter: items selected by a selector; the batch size changes between forwards."""

import numpy as np
import pytest
from support.layer_nets import net_of, run_layer

from caffe.errors import CaffeError


@pytest.mark.parametrize("selector", [[1, 0, 0, 1, 1], [0, 0, 0, 0, 2], [-1, 0.5, 3, 1, 1], [0, 0, 0, 0, 0]])
@pytest.mark.parametrize("tail", [(), (1,), (1, 1, 1)])
def test_value_and_gradient(selector, tail):
    rng = np.random.default_rng(14)
    a, b = rng.normal(size=(5, 3)).astype(np.float32), rng.normal(size=(5, 2, 2)).astype(np.float32)
    selected = [i for i, v in enumerate(selector) if v != 0]
    run = run_layer("Filter", "", a, b, np.reshape(selector, (5, *tail)), tops=2, backward=False)
    assert np.array_equal(run.tops[0], a[selected]) and np.array_equal(run.tops[1], b[selected])
    diffs = [rng.normal(size=(len(selected), *x.shape[1:])).astype(np.float32) for x in (a, b)]
    for i, diff in enumerate(diffs):
        run.net.blobs[f"t{i}"].diff[...] = diff
    run.net.backward()
    for i, x in enumerate((a, b)):
        dx = np.zeros_like(x)
        for row, n in enumerate(selected):
            dx[n] = diffs[i][row]
        assert np.array_equal(run.net.blobs[f"b{i}"].diff, dx)


def test_shapes_before_and_after_forward():
    net = net_of("""
        layer { name: "i" type: "Input" top: "x" top: "s"
          input_param { shape { dim: 4 dim: 3 } shape { dim: 4 } } }
        layer { name: "f" type: "Filter" bottom: "x" bottom: "s" top: "y" }
        layer { name: "ip" type: "InnerProduct" bottom: "y" top: "z"
          inner_product_param { num_output: 2 } }""")
    assert net.blobs["y"].shape == (4, 3) and net.blobs["z"].shape == (4, 2)
    for selector, count in (([1, 0, 0, 1], 2), ([0, 0, 1, 0], 1), ([1, 1, 1, 1], 4)):
        net.blobs["s"].data[...] = selector
        assert net.forward()["z"].shape == (count, 2) and net.blobs["y"].shape == (count, 3)


def test_invalid_inputs_raise():
    with pytest.raises(CaffeError, match="all axes of the selector except the first must be 1"):
        run_layer("Filter", "", np.ones((4, 3)), np.ones((4, 2)))
    with pytest.raises(CaffeError, match="same first dimension as the selector"):
        run_layer("Filter", "", np.ones((4, 3)), np.ones(3))
    with pytest.raises(CaffeError, match="one top per bottom other than the selector"):
        run_layer("Filter", "", np.ones((4, 3)), np.ones(4), tops=2)
