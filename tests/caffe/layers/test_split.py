"""Split: copies forward, the sum backward."""

import numpy as np
import pytest
from support.layer_nets import run_layer


@pytest.mark.parametrize("tops", [1, 2, 5])
def test_value_and_gradient(tops):
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    diffs = [np.random.default_rng(i).normal(size=(2, 3)).astype(np.float32) for i in range(tops)]
    run = run_layer("Split", "", x, tops=tops, diffs=diffs)
    assert len(run.tops) == tops and all(np.array_equal(t, x) for t in run.tops)
    assert np.allclose(run.diffs[0], sum(diffs), 1e-5, 1e-6)
    assert all(np.array_equal(run.net.blobs[f"t{i}"].diff, d) for i, d in enumerate(diffs))
