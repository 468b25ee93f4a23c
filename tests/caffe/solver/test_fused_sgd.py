"""The fused update goes where the plain one goes, and shows the diffs that pycaffe shows."""

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
        config.set_optimize(False)  # the nets: one and the same
        solver = Solver.from_param(param)
    finally:
        config.set_optimize(before)
    from caffe.solver import fused_sgd

    solver._fused = fast and fused_sgd.fits(solver)
    return solver


def _weights(solver, half="data"):
    return [np.array(getattr(w.blob, half)) for w in solver.net.learnable_weights]


@pytest.mark.parametrize("more", ["", "clip_gradients: 0.5", "iter_size: 2"])
def test_weights_and_diffs_across_a_drop_of_the_rate(more):
    plain, fast = _solver(False, more), _solver(True, more)
    assert fast._fused
    for _ in range(6):
        for solver in (plain, fast):
            solver.step(1)
    for half in ("data", "diff"):
        for mine, theirs in zip(_weights(fast, half), _weights(plain, half)):
            assert np.abs(mine - theirs).max() <= 2e-6 * max(1, np.abs(theirs).max())


def test_the_diff_after_a_step_is_what_was_subtracted():
    solver = _solver(True)
    before = _weights(solver)
    solver.step(1)
    for old, new, diff in zip(before, _weights(solver), _weights(solver, "diff")):
        assert np.array_equal(old - diff, new)


def test_a_diff_that_somebody_holds_stays_live():
    solver = _solver(True)
    solver.step(1)
    has_live_view = solver.net.params["ip"][0].diff
    solver.step(1)
    assert np.shares_memory(has_live_view, solver.net.params["ip"][0].diff)
    assert np.array_equal(has_live_view, solver.history[2].numpy())


@pytest.mark.parametrize("more", ['type: "Adam"', "momentum: 0", 'regularization_type: "L1"'])
def test_other_rules_take_the_plain_way(more):
    text_ = NET.replace("momentum: 0.9", "") if "momentum" in more else NET
    param = caffe_pb2.SolverParameter()
    text.parse(text_ % more, param)
    solver = Solver.from_param(param)
    assert not solver._fused
    solver.step(1)


def test_malloc_keeps_its_pages_where_it_is_glibcs():
    import platform

    assert malloc.retain_freed_memory() is (platform.libc_ver()[0] == "glibc")
