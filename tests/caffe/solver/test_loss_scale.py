"""Loss scaling: fp16 preserves tiny gradients, overflow skips the update, the scale is restored on resume."""

import numpy as np
import pytest
import torch

import caffe
from caffe.errors import CaffeError
from caffe.solver import loss_scale, resume

SOLVER = """
    base_lr: %g lr_policy: "fixed" momentum: 0.9 max_iter: 10 random_seed: 4 snapshot_prefix: "%s/s" net_param {
    layer { name: "data" type: "DummyData" top: "x" top: "t"
      dummy_data_param { shape { dim: 16 dim: 300 } shape { dim: 16 dim: 4 }
      data_filler { type: "gaussian" } data_filler { type: "constant" value: 1 } } }
    layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc"
      inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
    layer { name: "loss" type: "EuclideanLoss" bottom: "fc" bottom: "t" top: "loss" loss_weight: %g } }
"""


def _solver(folder, weight=1e-6, precision="fp16"):
    path = folder / "solver.prototxt"
    path.write_text(SOLVER % (1e-4 / weight, folder, weight))
    solver = caffe.SGDSolver(str(path))
    solver.net.set_precision(precision)
    return solver


def _weights(solver):
    return solver.net.params["fc"][0].data.copy()


def test_tiny_gradients_are_preserved(tmp_path):
    exact, half = (_solver(tmp_path, precision=name) for name in ("float32", "fp16"))
    before = _weights(half)
    for solver in (exact, half):
        solver.step(3)
    expected_change = _weights(exact) - before
    assert np.abs(expected_change).max() < 1e-2  # from diffs below 1e-6, many of which underflow in half precision
    assert np.abs(_weights(half) - before - expected_change).max() < 0.02 * np.abs(expected_change).max()
    assert solver.net.blobs["loss"].diff == np.float32(1e-6)


def test_overflow_skips_the_update_and_halves_the_scale(tmp_path):
    solver = _solver(tmp_path, weight=50)
    before = _weights(solver)
    solver.step(1)
    assert np.array_equal(_weights(solver), before) and solver.iter == 1
    assert solver.loss_scale.scale == 32768
    solver.step(9)
    assert not np.array_equal(_weights(solver), before)


def test_scale_grows_after_iterations_without_overflow():
    weight = type("Weight", (), {"blob": type("Blob", (), {"grad": torch.ones(2)})})
    scale = loss_scale.LossScale(4.0, loss_scale.GROWTH - 1)
    assert scale.unscale([weight]) and (scale.scale, scale.good_iterations) == (8.0, 0)


def test_scale_is_restored_on_resume(tmp_path):
    solver = _solver(tmp_path, weight=50)
    solver.step(6)
    solver.snapshot()
    resumed = _solver(tmp_path, weight=50)
    resumed.restore(str(tmp_path / "s_iter_6.solverstate"))
    assert vars(resumed.loss_scale) == vars(solver.loss_scale) and resumed.loss_scale.scale < 65536
    assert resume.load(str(tmp_path / "s_iter_6.resume.npz"), {})["losses"]


def test_unsupported_precision_raises(tmp_path):
    with pytest.raises(CaffeError, match="float32 or tf32 or bf16 or fp16, received 'fp8'"):
        _solver(tmp_path, precision="fp8")
    with pytest.raises(CaffeError, match="tf32 needs a CUDA device"):
        _solver(tmp_path, precision="tf32")
