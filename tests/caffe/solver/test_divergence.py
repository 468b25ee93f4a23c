"""The divergence monitor stops diverged runs, but not runs whose loss is merely large."""

import math

import pytest

import caffe
from caffe.errors import CaffeError
from caffe.proto import caffe_pb2
from caffe.proto.read import read_net_text
from caffe.solver.divergence import PATIENCE, SATURATED, DivergenceMonitor, loss_types, worst_loss

HEAD = """
layer { name: "x" type: "DummyData" top: "x" top: "label" dummy_data_param {
  shape { dim: 4 dim: 3 } shape { dim: 4 } data_filler { type: "gaussian" std: %s } data_filler { type: "constant" } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 3
  weight_filler { type: "gaussian" } } }
"""
SOFTMAX = 'layer { name: "loss%d" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" loss_weight: %g %s }\n'


def net(*layers, std=1):
    return caffe.Net.from_param(read_net_text(HEAD % std + "".join(layers), "net").param, caffe.TRAIN)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_non_finite_loss_raises_immediately(value):
    with pytest.raises(CaffeError, match="(?s)diverged.*at iteration 7.*lower base_lr"):
        DivergenceMonitor().check(7, value)


@pytest.mark.parametrize(
    "losses, present, absent",
    [
        ([], "integers from 0", "square"),
        (["SoftmaxWithLoss", "HingeLoss"], "integers from 0", "square"),
        (["EuclideanLoss"], "square", "integers"),
        (["SigmoidCrossEntropyLoss"], "probabilities from 0 to 1", "integers"),
        (["ContrastiveLoss"], "pairs", "integers"),
    ],
)
def test_the_advice_follows_the_loss(losses, present, absent):
    with pytest.raises(CaffeError) as error:
        DivergenceMonitor(losses=losses).check(7, math.nan)
    assert present in str(error.value) and absent not in str(error.value)


def test_a_net_with_two_kinds_of_losses_names_both():
    layers = [SOFTMAX % (1, 1, ""), 'layer { name: "l" type: "EuclideanLoss" bottom: "ip" bottom: "x" }']
    types = loss_types(net(*layers))
    assert types == ["SoftmaxWithLoss", "EuclideanLoss"]
    with pytest.raises(CaffeError, match="(?s)integers from 0.*square"):
        DivergenceMonitor(losses=types).check(7, math.nan)


def test_saturated_softmax_raises_after_patience():
    monitor = DivergenceMonitor()
    for iteration in range(PATIENCE - 1):
        monitor.check(iteration, 87.3365)
    monitor.check(90, 2.3)
    for iteration in range(PATIENCE - 1):
        monitor.check(100 + iteration, 87.3365)
    with pytest.raises(CaffeError, match="87.3365 for 5 iterations up to 104"):
        monitor.check(104, 87.3365)


@pytest.mark.parametrize(
    "layers, bound",
    [
        ([SOFTMAX % (1, 1, "")], SATURATED),
        ([SOFTMAX % (1, 1, ""), SOFTMAX % (2, 0.3, "")], 1.3 * SATURATED),
        ([SOFTMAX % (1, 1, "loss_param { normalization: NONE }")], math.inf),
        ([SOFTMAX % (1, 1, "loss_param { normalize: false }")], math.inf),
        (['layer { name: "l" type: "EuclideanLoss" bottom: "ip" bottom: "x" }'], math.inf),
        ([SOFTMAX % (1, 1, ""), 'layer { name: "l" type: "EuclideanLoss" bottom: "ip" bottom: "x" }'], math.inf),
        ([], math.inf),
    ],
)
def test_only_means_over_labels_have_a_worst_loss(layers, bound):
    assert worst_loss(net(*layers)) == pytest.approx(bound)


def solver(layers, std, base_lr):
    """Create a solver that runs 8 iterations on random data."""
    param = caffe_pb2.SolverParameter(base_lr=base_lr, lr_policy="fixed", max_iter=8, random_seed=1)
    param.snapshot_after_train = False
    param.net_param.CopyFrom(read_net_text(HEAD % std + layers, "net").param)
    return caffe.SGDSolver.from_param(param)


def test_decreasing_large_l2_loss_is_not_divergence():
    trained = solver('layer { name: "l" type: "EuclideanLoss" bottom: "ip" bottom: "x" }', std=20, base_lr=1e-4)
    trained.solve()
    assert trained.iter == 8 and trained.smoothed_loss > 90


def test_too_high_learning_rate_raises_with_advice():
    trained = solver('layer { name: "l" type: "EuclideanLoss" bottom: "ip" bottom: "x" }', std=1e9, base_lr=1e6)
    with pytest.raises(CaffeError, match="diverged"):
        trained.solve()
