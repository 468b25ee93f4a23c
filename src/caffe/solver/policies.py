"""The learning-rate policies of Caffe (sgd_solver.cpp, GetLearningRate): rate by iteration, simplest first.

`cosine` (Loshchilov & Hutter 2017) is not Caffe's, and rampup_interval and rampup_lr are NVCaffe's names.
"""

from __future__ import annotations

import math

from caffe.errors import CaffeError, did_you_mean


def fixed(p, iteration, step):
    """base_lr."""
    return p.base_lr


def step(p, iteration, step):
    """base_lr * gamma ^ floor(iteration / stepsize)."""
    return p.base_lr * p.gamma ** (iteration // p.stepsize)


def exp(p, iteration, step):
    """base_lr * gamma ^ iteration."""
    return p.base_lr * p.gamma**iteration


def inv(p, iteration, step):
    """base_lr * (1 + gamma * iteration) ^ -power."""
    return p.base_lr * (1 + p.gamma * iteration) ** -p.power


def multistep(p, iteration, step):
    """base_lr * gamma ^ (number of stepvalues passed)."""
    return p.base_lr * p.gamma**step


def poly(p, iteration, step):
    """base_lr * (1 - iteration / max_iter) ^ power."""
    return p.base_lr * max(0.0, 1 - iteration / p.max_iter) ** p.power


def sigmoid(p, iteration, step):
    """base_lr / (1 + exp(-gamma * (iteration - stepsize)))."""
    return p.base_lr / (1 + math.exp(min(700.0, -p.gamma * (iteration - p.stepsize))))


def cosine(p, iteration, step):
    """base_lr * (1 + cos(pi * iteration / max_iter)) / 2."""
    return p.base_lr * (1 + math.cos(math.pi * min(1.0, iteration / p.max_iter))) / 2


POLICIES = {f.__name__: f for f in (fixed, step, exp, inv, multistep, poly, sigmoid, cosine)}


def check(p):
    """Refuse a solver whose policy is unknown or lacks what it needs."""
    if p.lr_policy not in POLICIES:
        raise CaffeError(
            "unknown lr_policy '{}'{} (known: {})".format(
                p.lr_policy, did_you_mean(p.lr_policy, POLICIES), ", ".join(POLICIES)
            )
        )
    if p.lr_policy == "step" and p.stepsize <= 0:
        raise CaffeError("lr_policy 'step' needs a positive stepsize, received %d" % p.stepsize)
    if p.lr_policy in ("poly", "cosine") and p.max_iter <= 0:
        raise CaffeError("lr_policy '%s' needs a positive max_iter, received %d" % (p.lr_policy, p.max_iter))
    if p.rampup_interval < 0:
        raise CaffeError("rampup_interval must not be negative, received %d" % p.rampup_interval)


def advance(p, iteration, current):
    """The number of steps taken by `iteration`, given `current` before it: what the solverstate calls current_step."""
    if p.lr_policy == "step":
        return iteration // p.stepsize
    while p.lr_policy == "multistep" and current < len(p.stepvalue) and iteration >= p.stepvalue[current]:
        current += 1
    return current


def learning_rate(p, iteration, current):
    """The rate of `iteration` (counted before the update) for SolverParameter `p`, `current` steps having been taken."""
    if iteration < p.rampup_interval:
        return p.rampup_lr + (p.base_lr - p.rampup_lr) * iteration / p.rampup_interval
    return POLICIES[p.lr_policy](p, iteration, current)
