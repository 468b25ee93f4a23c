"""InfogainLoss compared with loops; H is a bottom or a file."""

import math

import numpy as np
import pytest
from support.layer_nets import run_layer

from caffe.errors import CaffeError
from caffe.weights import snapshot

RNG = np.random.default_rng(13)
SHAPES = [((6, 4), (6,), 1), ((2, 4, 3, 2), (2, 3, 2), 1), ((2, 3, 5), (2, 3), -1)]


def reference(x, label, matrix, axis, ignore):
    axis %= x.ndim
    rows = np.moveaxis(x, axis, -1)
    prob, grad = np.zeros(rows.shape), np.zeros(rows.shape)
    loss, valid = 0.0, 0
    for i, target in zip(np.ndindex(rows.shape[:-1]), label.ravel().astype(int)):
        powers = np.exp(rows[i] - rows[i].max())
        prob[i] = powers / powers.sum()
        if target == ignore:
            continue
        valid += 1
        for c in range(rows.shape[-1]):
            loss -= matrix[target, c] * math.log(max(prob[i][c], 1e-20))
            grad[i][c] = prob[i][c] * sum(matrix[target]) - matrix[target, c]
    return loss, np.moveaxis(grad, -1, axis), valid, np.moveaxis(prob, -1, axis)


@pytest.mark.parametrize("shape, labels, axis", SHAPES)
@pytest.mark.parametrize("mode", [None, "FULL", "VALID", "BATCH_SIZE", "NONE"])
@pytest.mark.parametrize("ignore", [None, 1])
@pytest.mark.parametrize("from_file", [False, True])
def test_value_and_gradient(tmp_path, shape, labels, axis, mode, ignore, from_file):
    classes = shape[axis]
    x, label, matrix = (
        RNG.normal(0, 2, shape),
        RNG.integers(0, classes, labels),
        RNG.uniform(size=(classes, classes)),
    )
    normalization = f"normalization: {mode}" if mode else ""
    ignore_label = "" if ignore is None else f"ignore_label: {ignore}"
    source = f'source: "{tmp_path}/h.binaryproto"' if from_file else ""
    text = f"loss_weight: 0.5 loss_param {{ {normalization} {ignore_label} }} "
    text += f"infogain_loss_param {{ axis: {axis} {source} }}"
    bottoms = [x, label]
    if from_file:
        snapshot.write_blob(
            tmp_path / "h.binaryproto",
            matrix.astype(np.float32).reshape(1, 1, classes, classes),
            legacy_shape=True,
        )
    else:
        bottoms.append(matrix.reshape(1, 1, classes, classes))
    run = run_layer("InfogainLoss", text, *bottoms)
    loss, grad, valid, _ = reference(x, label, matrix, axis, ignore)
    outer = int(np.prod(shape[: axis % len(shape)]))
    divisor = max(1, {"FULL": label.size, "VALID": valid, None: valid, "BATCH_SIZE": outer, "NONE": 1}[mode])
    assert run.tops[0].shape == () and np.allclose(run.tops[0], loss / divisor, 1e-5)
    assert np.allclose(run.diffs[0], 0.5 * grad / divisor, 1e-4, 1e-6)


def test_identity_matrix_matches_softmax_with_loss():
    x, label = RNG.normal(size=(3, 4)), RNG.integers(0, 4, 3)
    infogain = run_layer("InfogainLoss", "", x, label, np.eye(4), tops=2)
    softmax = run_layer("SoftmaxWithLoss", "", x, label, tops=2)
    for actual, expected in zip(infogain.tops + infogain.diffs[:1], softmax.tops + softmax.diffs[:1]):
        assert np.allclose(actual, expected, 1e-5, 1e-6)
    assert np.allclose(run_layer("InfogainLoss", "", [[0, 500]], [0], np.eye(2)).tops[0], -math.log(1e-20), 1e-5)


def test_invalid_inputs_raise():
    with pytest.raises(CaffeError, match="infogain_loss_param.source or add a third bottom"):
        run_layer("InfogainLoss", "", np.ones((2, 3)), [0, 1])
    with pytest.raises(CaffeError, match=r"must be 3 x 3, received \(2, 2\)"):
        run_layer("InfogainLoss", "", np.ones((2, 3)), [0, 1], np.ones((2, 2)))
    with pytest.raises(CaffeError, match="use `normalization`"):
        run_layer("InfogainLoss", "loss_param { normalize: true }", np.ones((2, 3)), [0, 1], np.ones((3, 3)))
    with pytest.raises(CaffeError, match="label 3 is outside 0 .. 2"):
        run_layer("InfogainLoss", "", np.ones((2, 3)), [0, 3], np.ones((3, 3)))
