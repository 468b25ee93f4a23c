"""ArgMax: sorted by (value, index), largest pair first."""

import numpy as np
import pytest
from support.layer_nets import run_layer

from caffe.errors import CaffeError

RNG = np.random.default_rng(5)


def best(row, k):
    """Return the k largest (value, index) pairs of a row, sorted as in Caffe."""
    return sorted(((v, i) for i, v in enumerate(row.tolist())), reverse=True)[:k]


@pytest.mark.parametrize("shape, axis", [((2, 5, 3), 1), ((4, 3), 0), ((2, 3, 4, 5), -1), ((6,), 0), ((2, 3, 4, 5), 2)])
@pytest.mark.parametrize("k, values", [(1, False), (1, True), (3, False), (3, True)])
@pytest.mark.parametrize("ties", [False, True])
def test_argmax_along_an_axis(shape, axis, k, values, ties):
    x = (RNG.integers(0, 3, shape) if ties else RNG.normal(size=shape)).astype(np.float32)
    text = f"argmax_param {{ axis: {axis} top_k: {k} out_max_val: {str(values).lower()} }}"
    y = run_layer("ArgMax", text, x, backward=False).tops[0]
    rows, tops = np.moveaxis(x, axis, -1), np.moveaxis(y, axis, -1)
    assert tops.shape == (*rows.shape[:-1], k)
    for i in np.ndindex(rows.shape[:-1]):
        assert tops[i].tolist() == [pair[0 if values else 1] for pair in best(rows[i], k)]


@pytest.mark.parametrize("shape", [(3, 7), (2, 3, 4), (2, 3, 4, 5), (2, 1, 2, 1, 4)])
@pytest.mark.parametrize("k, values", [(1, False), (1, True), (4, True), (2, False)])
@pytest.mark.parametrize("ties", [False, True])
def test_argmax_of_flattened_items(shape, k, values, ties):
    x = (RNG.integers(0, 3, shape) if ties else RNG.normal(size=shape)).astype(np.float32)
    text = f"argmax_param {{ top_k: {k} out_max_val: {str(values).lower()} }}"
    y = run_layer("ArgMax", text, x, backward=False).tops[0]
    ones = (1,) * (max(3, len(shape)) - 3)
    assert y.shape == (shape[0], 1 + values, k, *ones)
    for item, row in zip(x, y):
        pairs = best(item.ravel(), k)
        assert row[0].ravel().tolist() == [i for _, i in pairs]
        assert not values or row[1].ravel().tolist() == [v for v, _ in pairs]


def test_invalid_inputs_raise():
    with pytest.raises(CaffeError, match="top_k must be 1 or more"):
        run_layer("ArgMax", "argmax_param { top_k: 0 }", np.ones((2, 3)))
    with pytest.raises(CaffeError, match="must not exceed the 3 values"):
        run_layer("ArgMax", "argmax_param { top_k: 4 axis: 1 }", np.ones((2, 3, 4)))
    with pytest.raises(CaffeError, match="axis 3 is out of range"):
        run_layer("ArgMax", "argmax_param { axis: 3 }", np.ones((2, 3, 4)))
