"""The fused update equals the plain update and leaves the same diffs."""

import numpy as np
import pytest

from caffe.core import config, malloc
from caffe.proto import caffe_pb2, text
from caffe.solver.solver import Solver

NET = """
  base_lr: 0.05 lr_policy: "step" gamma: 0.1 stepsize: 3 momentum: 0.9 weight_decay: 0.01
  snapshot_after_train: false random_seed: 4 %s net_param {
    layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
      shape { dim: 6 dim: 3 dim: 11 dim: 11 } shape { dim: 6 } data_filler { type: "gaussian" }
      data_filler { type: "constant" value: 1 } } }
    layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
      param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
      convolution_param { num_output: 5 kernel_size: 3 weight_filler { type: "xavier" } } }
    layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" param { lr_mult: 10 }
      inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" } }
"""


def _solver(fast, more=""):
    param = caffe_pb2.SolverParameter()
    text.parse(NET % more, param)
    before = config.fast()
    try:
        config.set_optimize(False)  # build the same net for both
        solver = Solver.from_param(param)
    finally:
        config.set_optimize(before)
    from caffe.solver import fused_sgd

    solver._fused = fast and fused_sgd.is_supported(solver)
    return solver


def _weights(solver, attribute="data"):
    return [np.array(getattr(w.blob, attribute)) for w in solver.net.learnable_weights]


@pytest.mark.parametrize("more", ["", "clip_gradients: 0.5", "iter_size: 2"])
def test_weights_and_diffs_match_across_a_learning_rate_drop(more):
    plain, fast = _solver(False, more), _solver(True, more)
    assert fast._fused
    for _ in range(6):
        for solver in (plain, fast):
            solver.step(1)
    for attribute in ("data", "diff"):
        for actual, expected in zip(_weights(fast, attribute), _weights(plain, attribute)):
            assert np.abs(actual - expected).max() <= 2e-6 * max(1, np.abs(expected).max())


def test_diff_after_a_step_is_the_update():
    solver = _solver(True)
    before = _weights(solver)
    solver.step(1)
    for old, new, diff in zip(before, _weights(solver), _weights(solver, "diff")):
        assert np.array_equal(old - diff, new)


def test_live_diff_view_shows_the_update():
    solver = _solver(True)
    solver.step(1)
    view = solver.net.params["ip"][0].diff
    solver.step(1)
    assert np.shares_memory(view, solver.net.params["ip"][0].diff)
    assert np.array_equal(view, solver.history[2].numpy())


@pytest.mark.parametrize("more", ['type: "Adam"', "momentum: 0", 'regularization_type: "L1"'])
def test_other_rules_use_the_plain_update(more):
    definition = NET.replace("momentum: 0.9", "") if "momentum" in more else NET
    param = caffe_pb2.SolverParameter()
    text.parse(definition % more, param)
    solver = Solver.from_param(param)
    assert not solver._fused
    solver.step(1)


def test_retain_freed_memory_succeeds_with_glibc():
    import platform

    assert malloc.retain_freed_memory() is (platform.libc_ver()[0] == "glibc")
