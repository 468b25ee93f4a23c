"""Compares one layer with a reference of plain loops: tops, and gradients by finite differences."""

import types

import numpy as np
from support.layer_nets import net_of

import caffe
from caffe.layers import base


def input_layer(name, shape):
    """Return the prototxt of an Input layer."""
    dims = " ".join(f"dim: {d}" for d in shape)
    return f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}\n'


def one_layer_net(type_, text, shapes, tops=1, phase=caffe.TEST, force=True):
    """Build a Net of Input layers x0, x1 ... and layer `l` with tops y0, y1 ..."""
    parts = ["force_backward: true\n" if force else ""]
    parts += [input_layer(f"x{i}", shape) for i, shape in enumerate(shapes)]
    bottoms = " ".join(f'bottom: "x{i}"' for i in range(len(shapes)))
    names = " ".join(f'top: "y{i}"' for i in range(tops))
    parts.append(f'layer {{ name: "l" type: "{type_}" {bottoms} {names} {text} }}')
    return net_of("".join(parts), phase)


def run(net, bottoms, weights=(), dtops=None):
    """Run a net of `one_layer_net` forward, and backward from `dtops`.

    Returns a namespace with tops, diffs, weight_diffs and the weights after the run.
    """
    for i, array in enumerate(bottoms):
        net.blobs[f"x{i}"].data[...] = array
    blobs = net.layer_dict["l"].blobs
    for blob, array in zip(blobs, weights):
        blob.data[...] = array
    net.forward()
    names = net.top_names["l"]
    result = types.SimpleNamespace(tops=[net.blobs[name].data.copy() for name in names])
    if dtops is not None:
        for name, diff in zip(names, dtops):
            net.blobs[name].diff[...] = diff
        net.clear_param_diffs()
        net.backward()
        result.diffs = [net.blobs[f"x{i}"].diff.copy() for i in range(len(bottoms))]
        result.weight_diffs = [blob.diff.copy() for blob in blobs]
    result.weights = [blob.data.copy() for blob in blobs]
    return result


def slope(function, array, dtops, step=1e-6):
    """Return d sum(dtop * top) / d array by central differences; `function(array)` -> list of tops, all float64."""
    result = np.zeros(array.shape)
    for position in np.ndindex(array.shape):
        sides = []
        for sign in (step, -step):
            shifted = array.copy()
            shifted[position] += sign
            sides.append(sum((d * top).sum() for d, top in zip(dtops, function(shifted)) if d is not None))
        result[position] = (sides[0] - sides[1]) / (2 * step)
    return result


def assert_close(received, expected, label, tolerance=2e-5):
    """Assert equality within `tolerance` of the largest expected value (at least 1)."""
    expected = np.asarray(expected, np.float64)
    assert received.shape == expected.shape, f"{label}: expected {expected.shape}, received {received.shape}"
    if expected.size:
        error = np.abs(received - expected).max() / max(1.0, np.abs(expected).max())
        assert error <= tolerance, f"{label} is off by {error:.2g}"


def check_layer(type_, text, bottoms, reference, weights=(), tops=1, phase=caffe.TEST, fixed=(), rng=None):
    """Assert that the layer computes `reference(*bottoms, *weights)` -> list of tops, and its gradients.

    Gradients of the arguments numbered in `fixed` are not checked. Reference arrays are float64; the layer receives
    the same values as float32.
    """
    rng = rng or np.random.default_rng(5)
    arrays = [np.asarray(a, np.float32).astype(np.float64) for a in (*bottoms, *weights)]
    expected = reference(*arrays)
    dtops = [rng.standard_normal(top.shape).astype(np.float32).astype(np.float64) for top in expected]
    net = one_layer_net(type_, text, [a.shape for a in arrays[: len(bottoms)]], tops, phase)
    assert [b.data.shape for b in net.layer_dict["l"].blobs] == [a.shape for a in arrays[len(bottoms) :]]
    result = run(net, arrays[: len(bottoms)], arrays[len(bottoms) :], dtops)
    for i, (received, top) in enumerate(zip(result.tops, expected)):
        assert_close(received, top, f"top {i}")
    for i, received in enumerate(result.diffs + result.weight_diffs):
        if i not in fixed:

            def function(array, i=i):
                return reference(*arrays[:i], array, *arrays[i + 1 :])

            assert_close(received, slope(function, arrays[i], dtops), f"gradient of argument {i}", 2e-4)
    return result


def build_error(type_, text, shapes, tops=1, phase=base.TEST):
    """Build a net of this layer and return the message of the CaffeError; fails if none is raised."""
    import pytest

    with pytest.raises(caffe.errors.CaffeError) as caught:
        one_layer_net(type_, text, shapes, tops, phase, force=False)
    return str(caught.value)
