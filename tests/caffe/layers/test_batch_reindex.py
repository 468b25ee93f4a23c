"""BatchReindex: selected items, and gradients summed over copies."""

import numpy as np
import pytest
from support.layer_nets import run_layer

from caffe.errors import CaffeError


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 2, 3)])
@pytest.mark.parametrize("index", [[0, 1, 2, 3], [3, 3, 0], [2], [1, 0, 1, 2, 1, 1]])
def test_value_and_gradient(shape, index):
    rng = np.random.default_rng(6)
    x, dy = rng.normal(size=shape), rng.normal(size=(len(index), *shape[1:]))
    run = run_layer("BatchReindex", "", x, index, diffs=[dy])
    dx = np.zeros(shape)
    for n, i in enumerate(index):
        assert np.array_equal(run.tops[0][n], x[i].astype(np.float32))
        dx[i] += dy[n]
    assert run.tops[0].shape == dy.shape and np.allclose(run.diffs[0], dx, 1e-5, 1e-6)


@pytest.mark.parametrize(
    "index, text", [([0, 4], "0 .. 3, received 0 .. 4"), ([-1], "received -1"), ([[0], [1]], "one axis")]
)
def test_invalid_inputs_raise(index, text):
    with pytest.raises(CaffeError, match=text):
        run_layer("BatchReindex", "", np.ones((4, 2)), index)
