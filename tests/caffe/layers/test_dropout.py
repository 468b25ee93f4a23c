"""Dropout: statistics in TRAIN, the same mask in backward, identity in TEST."""

import numpy as np
import pytest
from support.layer_nets import run_layer

import caffe
from caffe.errors import CaffeError


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9])
def test_train_phase_drops_and_scales(ratio):
    caffe.set_random_seed(3)
    x = np.random.default_rng(1).uniform(1, 2, (200, 200)).astype(np.float32)
    text = f"dropout_param {{ dropout_ratio: {ratio:g} }}"
    run = run_layer("Dropout", text, x, phase=caffe.TRAIN, diffs=[np.full_like(x, 3)])
    y, mask = run.tops[0], run.tops[0] != 0
    assert np.allclose(y[mask], x[mask] / (1 - ratio), 1e-5)
    assert np.allclose(run.diffs[0], np.where(mask, 3 / (1 - ratio), 0), 1e-5)
    count, error = x.size, (x.size * ratio * (1 - ratio)) ** 0.5
    assert abs(mask.sum() - count * (1 - ratio)) < 5 * error  # binomial, five standard deviations
    assert abs(np.corrcoef(mask[:, :-1].ravel(), mask[:, 1:].ravel())[0, 1]) < 5 / count**0.5


def test_masks_differ_per_forward_and_repeat_with_the_seed():
    def masks():
        caffe.set_random_seed(11)
        net = run_layer("Dropout", "", np.ones((4, 50)), phase=caffe.TRAIN).net
        first = net.blobs["t0"].data.copy()
        return first, net.forward()["t0"].copy()

    (a, b), (c, d) = masks(), masks()
    assert np.array_equal(a, c) and np.array_equal(b, d) and not np.array_equal(a, b)


def test_test_phase_is_identity():
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    run = run_layer("Dropout", "dropout_param { dropout_ratio: 0.7 }", x, diffs=[x + 1])
    assert np.array_equal(run.tops[0], x) and np.array_equal(run.diffs[0], x + 1)


def test_ratio_zero_is_identity():
    x = np.arange(12, dtype=np.float32)
    assert np.array_equal(run_layer("Dropout", "dropout_param { dropout_ratio: 0 }", x, phase=caffe.TRAIN).tops[0], x)


@pytest.mark.parametrize("ratio", [1, -0.1, 1.5])
def test_ratio_out_of_range_raises(ratio):
    with pytest.raises(CaffeError, match="dropout_ratio"):
        run_layer("Dropout", f"dropout_param {{ dropout_ratio: {ratio:g} }}", np.ones(3))


def test_without_scale_train_test_scales():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    run = run_layer("Dropout", "dropout_param { dropout_ratio: 0.25 scale_train: false }", x)
    assert np.allclose(run.tops[0], 0.75 * x)


def test_segnets_sampling_drops_in_test():
    x = np.ones((40, 50), np.float32)
    top = run_layer("Dropout", "dropout_param { sample_weights_test: true }", x).tops[0]
    assert set(np.unique(top)) == {0, 2}
