"""SigmoidCrossEntropyLoss compared with a loop over values, for every normalization."""

import math

import numpy as np
import pytest
from support.layer_nets import run_layer

from caffe.errors import CaffeError

RNG = np.random.default_rng(11)
DIVISOR = {
    "FULL": lambda n, total, valid: total,
    "VALID": lambda n, total, valid: valid,
    "BATCH_SIZE": lambda n, total, valid: n,
    "NONE": lambda n, total, valid: 1,
}
SETTINGS = [("", "BATCH_SIZE"), ("normalize: true", "VALID"), ("normalize: false", "BATCH_SIZE")]
SETTINGS += [(f"normalization: {mode}", mode) for mode in DIVISOR] + [("normalize: true normalization: NONE", "NONE")]


def reference(x, t, ignore):
    """Return (sum of losses, gradient of the sum, number of valid targets)."""
    loss, dx, valid = 0.0, np.zeros(x.size), 0
    for i, (v, target) in enumerate(zip(x.ravel().tolist(), t.ravel().tolist())):
        if ignore is not None and int(target) == ignore:
            continue
        valid += 1
        softplus = max(v, 0) + math.log1p(math.exp(-abs(v)))  # -log(1 - s); -log s is softplus - v
        loss += softplus - target * v
        dx[i] = (1 / (1 + math.exp(-v)) if v > -700 else 0) - target
    return loss, dx, valid


@pytest.mark.parametrize("text, mode", SETTINGS)
@pytest.mark.parametrize("ignore", [None, 0, 1, -1, 255])
def test_value_and_gradient(text, mode, ignore):
    shape, weight = [(4, 5), (3, 2, 3, 2)][RNG.integers(2)], [None, 0.7][RNG.integers(2)]
    x, t = RNG.normal(0, 3, shape), RNG.integers(0, 2, shape).astype(float)
    x.ravel()[:3] = 0, 300, -300
    if ignore == 255:
        t[0] = 255
    elif ignore is None:
        t = RNG.uniform(size=shape)
    param = "loss_param {{ {} {} }} ".format(text, "" if ignore is None else f"ignore_label: {ignore}")
    param += f"loss_weight: {weight:g}" if weight else ""
    run = run_layer("SigmoidCrossEntropyLoss", param, x, t)
    loss, dx, valid = reference(x, t, ignore)
    divisor = max(1, DIVISOR[mode](shape[0], x.size, valid))
    assert run.tops[0].shape == () and np.allclose(run.tops[0], loss / divisor, 1e-5)
    assert np.allclose(run.diffs[0].ravel(), (weight or 1) * dx / divisor, 1e-4, 1e-6)
    assert (run.diffs[1] == 0).all()


def test_loss_is_zero_if_all_targets_are_ignored():
    run = run_layer(
        "SigmoidCrossEntropyLoss",
        "loss_param { ignore_label: 1 normalization: VALID }",
        np.ones((2, 3)),
        np.ones((2, 3)),
    )
    assert run.tops[0] == 0 and (run.diffs[0] == 0).all()


def test_targets_may_have_another_shape():
    x = RNG.normal(size=(2, 3, 2))
    same_shape = run_layer("SigmoidCrossEntropyLoss", "", x, np.ones((2, 3, 2)))
    flat = run_layer("SigmoidCrossEntropyLoss", "", x, np.ones((2, 6)))
    assert same_shape.tops[0] == flat.tops[0]
    with pytest.raises(CaffeError, match="same number of values"):
        run_layer("SigmoidCrossEntropyLoss", "", x, np.ones((2, 5)))
