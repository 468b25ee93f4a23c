"""Update rules compared with scalar loops written from the papers and Caffe's conventions."""

import math

import numpy as np
import pytest
import torch

from caffe.errors import CaffeError
from caffe.proto import caffe_pb2
from caffe.solver.update_rules import UPDATE_RULES

M, M2, RMS, DELTA = 0.9, 0.99, 0.95, 1e-4


def sgd(rate, h, g, t):
    h[0] = M * h[0] + rate * g
    return h[0]


def nesterov(rate, h, g, t):
    old, h[0] = h[0], M * h[0] + rate * g
    return h[0] + M * (h[0] - old)


def adagrad(rate, h, g, t):
    h[0] += g * g
    return rate * g / (math.sqrt(h[0]) + DELTA)


def rmsprop(rate, h, g, t):
    h[0] = RMS * h[0] + (1 - RMS) * g * g
    return rate * g / (math.sqrt(h[0]) + DELTA)


def adadelta(rate, h, g, t):
    h[0] = M * h[0] + (1 - M) * g * g
    step = g * math.sqrt((h[1] + DELTA) / (h[0] + DELTA))
    h[1] = M * h[1] + (1 - M) * step * step
    return rate * step


def adam(rate, h, g, t):
    h[0] = M * h[0] + (1 - M) * g
    h[1] = M2 * h[1] + (1 - M2) * g * g
    return rate * math.sqrt(1 - M2**t) / (1 - M**t) * h[0] / (math.sqrt(h[1]) + DELTA)


LOOPS = {"SGD": sgd, "Nesterov": nesterov, "AdaGrad": adagrad, "RMSProp": rmsprop, "AdaDelta": adadelta, "Adam": adam}


def param(name):
    momentum = 0 if name in ("AdaGrad", "RMSProp") else M
    return caffe_pb2.SolverParameter(momentum=momentum, momentum2=M2, rms_decay=RMS, delta=DELTA)


@pytest.mark.parametrize("name", LOOPS)
def test_rule_matches_its_scalar_loop(name):
    rule = UPDATE_RULES[name](param(name))
    gradients = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
    gradients[:, 4] = 0  # a weight without gradient does not change
    history = [torch.zeros(5) for _ in range(rule.histories)]
    plain = [[0.0, 0.0] for _ in range(5)]
    for iteration, row in enumerate(gradients):
        rate = 0.1 / (1 + iteration)
        update = torch.from_numpy(row.copy())
        rule.update(rate, history, update, iteration)
        expected = [LOOPS[name](rate, h, float(g), iteration + 1) for h, g in zip(plain, row)]
        np.testing.assert_allclose(update.numpy(), expected, rtol=1e-4, atol=1e-7)
    for i, tensor in enumerate(history):
        np.testing.assert_allclose(tensor.numpy(), [h[i] for h in plain], rtol=1e-4, atol=1e-7)
    assert update[4] == 0


def test_every_rule_has_a_loop():
    assert set(LOOPS) == set(UPDATE_RULES)


@pytest.mark.parametrize("name", ["AdaGrad", "RMSProp"])
def test_unsupported_momentum_raises(name):
    with pytest.raises(CaffeError, match=name + " takes no momentum, received 0.9"):
        UPDATE_RULES[name](caffe_pb2.SolverParameter(momentum=0.9))


def test_rms_decay_out_of_range_raises():
    with pytest.raises(CaffeError, match="rms_decay must be in 0 .. 1"):
        UPDATE_RULES["RMSProp"](caffe_pb2.SolverParameter(rms_decay=1.5))
