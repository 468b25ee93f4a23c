"""Compare one net with and without optimization passes: every blob, weight and gradient must agree."""

from __future__ import annotations

import numpy as np

from caffe.core import config
from caffe.layers.base import TRAIN
from caffe.net.net import Net

TOLERANCE = {"float32": 1e-4, "bf16": 0.3}


def differences(param, number, precision="float32"):
    """Return the names of the arrays that differ for the NetParameter `param`, with each of two sets of values.

    Rounding can change which value is the maximum of a window, or its sign. This happens with one set of values in
    10^5, whereas a real difference occurs with both.
    """
    found = _differences(param, number, precision)
    return found & _differences(param, number + 10**9, precision) if found else found


def _differences(param, number, precision):
    plain, fast = (_values(param, number, precision, flag) for flag in (False, True))
    assert plain.keys() == fast.keys()
    return {name for name in plain if not _agree(plain[name], fast[name], precision)}


def _agree(plain, fast, precision):
    if plain.shape != fast.shape or not np.array_equal(np.isfinite(plain), np.isfinite(fast)):
        return False
    plain, fast = np.nan_to_num(plain, posinf=0, neginf=0), np.nan_to_num(fast, posinf=0, neginf=0)
    error, size = (plain - fast).ravel(), plain.ravel()
    if precision == "float32":
        return not error.size or np.abs(error).max() <= TOLERANCE[precision] * max(1, np.abs(size).max())
    return np.linalg.norm(error) <= TOLERANCE[precision] * max(1, np.linalg.norm(size))


def _values(param, number, precision, fast):
    """Return every array of the net after forward and backward, by name."""
    before = config.fast()
    try:
        config.set_optimize(fast)
        net = Net.from_param(param, TRAIN)
    finally:
        config.set_optimize(before)
    if precision != "float32":
        net.precision = precision
    rng = np.random.default_rng(number)
    for name in net.inputs:
        _fill(net.blobs[name].data, rng)
    for name, blobs in net.params.items():
        for blob in blobs:
            _fill(blob.data, rng)
            if name.startswith("norm"):  # a variance
                np.abs(blob.data, out=blob.data)
    net.forward()
    for name in net.outputs:
        _fill(net.blobs[name].diff, rng)
    net.clear_param_diffs()
    net.backward_range(len(net.nodes) - 1, 0)
    return _arrays(net)


def _fill(array, rng):
    array[...] = rng.uniform(0.2, 1.2, array.shape) * rng.choice([-1, 1], array.shape)


def _arrays(net):
    found = {f"{name} data": blob.data.copy() for name, blob in net.blobs.items()}
    found.update({f"{name} diff": blob.diff.copy() for name, blob in net.blobs.items()})
    for name, blobs in net.params.items():
        found.update({f"{name} weight {i} diff": blob.diff.copy() for i, blob in enumerate(blobs)})
    return found
