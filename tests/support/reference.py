"""Holds one layer against a reference of a few plain loops: tops, and derivatives by finite differences."""

import types

import numpy as np
from support.layer_nets import net_of

import caffe
from caffe.layers import base


def input_layer(name, shape):
    """Prototxt of an Input layer."""
    dims = " ".join("dim: %d" % d for d in shape)
    return f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}\n'


def one_layer_net(type_, text, shapes, tops=1, phase=caffe.TEST, force=True):
    """A Net of Input layers x0, x1 ... and layer `l` with tops y0, y1 ..."""
    parts = ["force_backward: true\n" if force else ""]
    parts += [input_layer("x%d" % i, shape) for i, shape in enumerate(shapes)]
    bottoms = " ".join('bottom: "x%d"' % i for i in range(len(shapes)))
    names = " ".join('top: "y%d"' % i for i in range(tops))
    parts.append(f'layer {{ name: "l" type: "{type_}" {bottoms} {names} {text} }}')
    return net_of("".join(parts), phase)


def run(net, bottoms, weights=(), dtops=None):
    """Forward, and backward from `dtops`, of a net of `one_layer_net`; returns tops, diffs, weight_diffs
    and weights after.
    """
    for i, array in enumerate(bottoms):
        net.blobs["x%d" % i].data[...] = array
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
        result.diffs = [net.blobs["x%d" % i].diff.copy() for i in range(len(bottoms))]
        result.weight_diffs = [blob.diff.copy() for blob in blobs]
    result.weights = [blob.data.copy() for blob in blobs]
    return result


def slope(function, array, dtops, step=1e-6):
    """d sum(dtop * top) / d array by central differences, `function(array)` -> list of tops, all float64."""
    result = np.zeros(array.shape)
    for place in np.ndindex(array.shape):
        sides = []
        for sign in (step, -step):
            moved = array.copy()
            moved[place] += sign
            sides.append(sum((d * top).sum() for d, top in zip(dtops, function(moved)) if d is not None))
        result[place] = (sides[0] - sides[1]) / (2 * step)
    return result


def close(received, expected, what, tolerance=2e-5):
    """Assert equality within `tolerance` of the largest expected value (at least 1)."""
    expected = np.asarray(expected, np.float64)
    assert received.shape == expected.shape, f"{what}: {received.shape}, expected {expected.shape}"
    if expected.size:
        error = np.abs(received - expected).max() / max(1.0, np.abs(expected).max())
        assert error <= tolerance, f"{what} is off by {error:.2g}"


def hold(type_, text, bottoms, reference, weights=(), tops=1, phase=caffe.TEST, fixed=(), rng=None):
    """Assert that the layer computes `reference(*bottoms, *weights)` -> list of tops, and its derivatives.

    Bottoms numbered in `fixed` have none. Every array is float64; the layer sees float32 of the same values.
    """
    rng = rng or np.random.default_rng(5)
    arrays = [np.asarray(a, np.float32).astype(np.float64) for a in (*bottoms, *weights)]
    expected = reference(*arrays)
    dtops = [rng.standard_normal(top.shape).astype(np.float32).astype(np.float64) for top in expected]
    net = one_layer_net(type_, text, [a.shape for a in arrays[: len(bottoms)]], tops, phase)
    assert [b.data.shape for b in net.layer_dict["l"].blobs] == [a.shape for a in arrays[len(bottoms) :]]
    result = run(net, arrays[: len(bottoms)], arrays[len(bottoms) :], dtops)
    for i, (received, top) in enumerate(zip(result.tops, expected)):
        close(received, top, "top %d" % i)
    for i, received in enumerate(result.diffs + result.weight_diffs):
        if i not in fixed:

            def moved(array, i=i):
                return reference(*arrays[:i], array, *arrays[i + 1 :])

            close(received, slope(moved, arrays[i], dtops), "derivative by argument %d" % i, 2e-4)
    return result


def refusal(type_, text, shapes, tops=1, phase=base.TEST):
    """The message with which a net of this layer is refused; fails where it is not."""
    import pytest

    with pytest.raises(caffe.errors.CaffeError) as caught:
        one_layer_net(type_, text, shapes, tops, phase, force=False)
    return str(caught.value)
