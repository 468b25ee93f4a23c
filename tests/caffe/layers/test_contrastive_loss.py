"""ContrastiveLoss in both versions, compared with a loop over pairs."""

import math

import numpy as np
import pytest
from support.layer_nets import run_layer

from caffe.errors import CaffeError


def reference(a, b, y, margin, legacy, weight):
    """Return (loss, gradient of a) as defined in contrastive_loss_layer.cpp; the gradient of b is the negative."""
    loss, da = 0.0, np.zeros_like(a)
    for i in range(len(a)):
        d = a[i] - b[i]
        square = sum(d * d)
        distance = math.sqrt(square)
        if int(y[i]):
            loss += square
            da[i] = d
        elif legacy:
            loss += max(margin - square, 0)
            da[i] = -d if margin - square > 0 else 0
        else:
            loss += max(margin - distance, 0) ** 2
            da[i] = -(margin - distance) / (distance + 1e-4) * d if margin - distance > 0 else 0
    return loss / len(a) / 2, da * weight / len(a)


@pytest.mark.parametrize("margin, legacy", [(None, False), (2.5, False), (0.5, False), (3, True), (1, True)])
@pytest.mark.parametrize("tail, weight", [((), None), ((1, 1), 0.3)])
def test_value_and_gradients(margin, legacy, tail, weight):
    rng = np.random.default_rng(7)
    a, b = rng.normal(size=(2, 8, 3))
    y = rng.integers(0, 2, 8)
    a[3], y[3] = b[3], 0  # a pair at distance 0
    text = "contrastive_loss_param {{ {} legacy_version: {} }}".format(
        "" if margin is None else f"margin: {margin:g}",
        str(legacy).lower(),
    )
    text += "" if weight is None else f" loss_weight: {weight:g}"
    run = run_layer("ContrastiveLoss", text, a.reshape(8, 3, *tail), b.reshape(8, 3, *tail), y)
    loss, da = reference(a, b, y, margin or 1, legacy, weight or 1)
    assert run.tops[0].shape == () and np.allclose(run.tops[0], loss, 1e-5)
    assert np.allclose(run.diffs[0].reshape(8, 3), da, 1e-4, 1e-6)
    assert np.allclose(run.diffs[1].reshape(8, 3), -da, 1e-4, 1e-6)
    assert (run.diffs[2] == 0).all()


@pytest.mark.parametrize(
    "shapes",
    [((4, 3), (4, 2), (4,)), ((4, 3, 2), (4, 3, 2), (4,)), ((4, 3), (4, 3), (4, 2)), ((4, 3), (5, 3), (4,))],
)
def test_invalid_inputs_raise(shapes):
    with pytest.raises(CaffeError):
        run_layer("ContrastiveLoss", "", *[np.ones(s) for s in shapes])
