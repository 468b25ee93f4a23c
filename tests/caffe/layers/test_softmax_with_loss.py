"""SoftmaxWithLoss compared with a loop over labels: axes, normalization, ignored labels, the floor."""

import math

import numpy as np
import pytest
from support.layer_nets import net_of, run_layer

from caffe.errors import CaffeError

RNG = np.random.default_rng(12)
SHAPES = [
    ((6, 4), (6,), 1),
    ((2, 4, 3, 2), (2, 3, 2), 1),
    ((2, 3, 5), (2, 3), 2),
    ((2, 3, 5), (2, 3, 1), -1),
    ((2, 4, 3), (2, 3), -2),
]
SETTINGS = [
    ("", "VALID"),
    ("normalize: true", "VALID"),
    ("normalize: false", "BATCH_SIZE"),
    ("normalization: FULL", "FULL"),
    ("normalization: VALID", "VALID"),
    ("normalization: BATCH_SIZE", "BATCH_SIZE"),
    ("normalization: NONE", "NONE"),
    ("normalize: false normalization: VALID", "VALID"),
]


def reference(x, label, axis, ignore):
    """Return (sum of losses, its gradient, number of valid labels, softmax), one position at a time."""
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
        loss -= math.log(max(prob[i][target], np.finfo(np.float32).tiny))
        grad[i] = prob[i]
        grad[i][target] -= 1
    return loss, np.moveaxis(grad, -1, axis), valid, np.moveaxis(prob, -1, axis)


def divisor(mode, outer, positions, valid):
    return max(1, {"FULL": positions, "VALID": valid, "BATCH_SIZE": outer, "NONE": 1}[mode])


@pytest.mark.parametrize("shape, labels, axis", SHAPES)
@pytest.mark.parametrize("text, mode", SETTINGS)
@pytest.mark.parametrize("ignore", [None, 1, -1])
def test_value_and_gradient(shape, labels, axis, text, mode, ignore):
    x, label = RNG.normal(0, 2, shape), RNG.integers(0, shape[axis], labels)
    if ignore == -1:
        label.ravel()[::2] = -1
    weight = [None, 0.3][RNG.integers(2)]
    ignore_label = "" if ignore is None else f"ignore_label: {ignore}"
    loss_weight = f"loss_weight: {weight:g}" if weight else ""
    param = f"softmax_param {{ axis: {axis} }} loss_param {{ {text} {ignore_label} }} {loss_weight}"
    run = run_layer("SoftmaxWithLoss", param, x, label)
    loss, grad, valid, _ = reference(x, label, axis, ignore)
    expected_divisor = divisor(mode, int(np.prod(shape[: axis % len(shape)])), label.size, valid)
    assert run.tops[0].shape == () and np.allclose(run.tops[0], loss / expected_divisor, 1e-5, 1e-6)
    assert np.allclose(run.diffs[0], (weight or 1) * grad / expected_divisor, 1e-4, 1e-6)


def test_second_top_is_the_softmax_and_its_diff_is_ignored():
    x, label = RNG.normal(size=(3, 4, 2)), RNG.integers(0, 4, (3, 2))
    run = run_layer("SoftmaxWithLoss", "", x, label, tops=2, diffs=[2, RNG.normal(size=(3, 4, 2))])
    _, grad, valid, prob = reference(x, label, 1, None)
    assert np.allclose(run.tops[1], prob, 1e-5) and np.allclose(run.diffs[0], 2 * grad / valid, 1e-4, 1e-6)


def test_floor_is_the_smallest_normal_float():
    run = run_layer("SoftmaxWithLoss", "", [[0.0, 500.0]], [0])
    assert np.allclose(run.tops[0], -math.log(np.finfo(np.float32).tiny), 1e-5)  # 87.3365
    assert np.allclose(run.diffs[0], [[-1, 1]])  # the gradient ignores the floor


def test_loss_is_zero_if_all_labels_are_ignored():
    run = run_layer("SoftmaxWithLoss", "loss_param { ignore_label: 2 }", np.ones((2, 3)), [2, 2])
    assert run.tops[0] == 0 and (run.diffs[0] == 0).all()


def test_loss_without_top_contributes_to_the_loss():
    net = net_of("""
        layer { name: "x" type: "Input" top: "x" top: "l"
          input_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }
        layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 4 } }
        layer { name: "s" type: "SoftmaxWithLoss" bottom: "ip" bottom: "l" }""")
    assert np.allclose(net.forward_range(0, 2), math.log(4)) and net.outputs == []


def test_invalid_inputs_raise():
    with pytest.raises(CaffeError, match=r"expected 6 labels for predictions .*, received \(2, 2\)"):
        run_layer("SoftmaxWithLoss", "", np.ones((2, 4, 3)), np.ones((2, 2)))
    with pytest.raises(CaffeError, match="same first dimension"):
        run_layer("SoftmaxWithLoss", "", np.ones((2, 4)), np.ones((1, 2)))
    with pytest.raises(CaffeError, match=r"label 4 is outside 0 .. 3, .* \(2 such labels"):
        run_layer("SoftmaxWithLoss", "", np.ones((3, 4)), [0, 4, -1])


@pytest.mark.parametrize("ignore", [None, 1])
def test_class_weighting(ignore):
    """SegNet: every loss and gradient is multiplied by the weight of its label, the divisor is the number of labels."""
    x, label = RNG.normal(size=(2, 3, 4, 5)), RNG.integers(0, 3, (2, 4, 5))
    weights = [0.5, 2.0, 3.5]
    text = "weight_by_label_freqs: true " + " ".join(f"class_weighting: {value}" for value in weights)
    text += "" if ignore is None else f" ignore_label: {ignore}"
    run = run_layer("SoftmaxWithLoss", f"loss_param {{ {text} }}", x, label)
    expected, gradient, count = 0.0, np.zeros(x.shape), 0
    for n, h, w in np.ndindex(label.shape):
        target = label[n, h, w]
        if target != ignore:
            prob = np.exp(x[n, :, h, w]) / np.exp(x[n, :, h, w]).sum()
            expected -= weights[target] * math.log(prob[target])
            gradient[n, :, h, w] = weights[target] * (prob - np.eye(3)[target])
            count += 1
    np.testing.assert_allclose(run.tops[0], expected / count, rtol=1e-5)
    np.testing.assert_allclose(run.diffs[0], gradient / count, rtol=1e-4, atol=1e-6)


def test_class_weighting_needs_a_value_per_class():
    text = "loss_param { weight_by_label_freqs: true class_weighting: 1 }"
    with pytest.raises(CaffeError, match=r"expected one class_weighting per class \(3\), received 1"):
        run_layer("SoftmaxWithLoss", text, RNG.normal(size=(2, 3)), RNG.integers(0, 3, 2))
