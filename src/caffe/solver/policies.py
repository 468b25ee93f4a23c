"""Caffe's learning-rate policies (sgd_solver.cpp, GetLearningRate), simplest first.

`cosine` (Loshchilov & Hutter 2017) is an addition; rampup_interval and rampup_lr are from NVCaffe.
"""

from __future__ import annotations

import math
from typing import Any

from caffe.errors import CaffeError, did_you_mean


def fixed(p: Any, iteration: int, step: int) -> float:
    """base_lr."""
    return p.base_lr


def step(p: Any, iteration: int, step: int) -> float:
    """base_lr * gamma ^ floor(iteration / stepsize)."""
    return p.base_lr * p.gamma ** (iteration // p.stepsize)


def exp(p: Any, iteration: int, step: int) -> float:
    """base_lr * gamma ^ iteration."""
    return p.base_lr * p.gamma**iteration


def inv(p: Any, iteration: int, step: int) -> float:
    """base_lr * (1 + gamma * iteration) ^ -power."""
    return p.base_lr * (1 + p.gamma * iteration) ** -p.power


def multistep(p: Any, iteration: int, step: int) -> float:
    """base_lr * gamma ^ (number of stepvalues passed)."""
    return p.base_lr * p.gamma**step


def poly(p: Any, iteration: int, step: int) -> float:
    """base_lr * (1 - iteration / max_iter) ^ power."""
    return p.base_lr * max(0.0, 1 - iteration / p.max_iter) ** p.power


def sigmoid(p: Any, iteration: int, step: int) -> float:
    """base_lr / (1 + exp(-gamma * (iteration - stepsize)))."""
    return p.base_lr / (1 + math.exp(min(700.0, -p.gamma * (iteration - p.stepsize))))


def cosine(p: Any, iteration: int, step: int) -> float:
    """base_lr * (1 + cos(pi * iteration / max_iter)) / 2."""
    return p.base_lr * (1 + math.cos(math.pi * min(1.0, iteration / p.max_iter))) / 2


POLICIES = {f.__name__: f for f in (fixed, step, exp, inv, multistep, poly, sigmoid, cosine)}


def check(p: Any) -> None:
    """Raise CaffeError if the policy of SolverParameter `p` is unknown or lacks a parameter.

    A solver without a policy may be created, as in Caffe; its first update fails (`learning_rate`).
    """
    if p.lr_policy and p.lr_policy not in POLICIES:
        hint, known = did_you_mean(p.lr_policy, POLICIES), ", ".join(POLICIES)
        raise CaffeError(f"unknown lr_policy '{p.lr_policy}'{hint} (known: {known})")
    if p.lr_policy == "step" and p.stepsize <= 0:
        raise CaffeError(f"lr_policy 'step' needs a positive stepsize, received {p.stepsize}")
    if p.lr_policy in ("poly", "cosine") and p.max_iter <= 0:
        raise CaffeError(f"lr_policy '{p.lr_policy}' needs a positive max_iter, received {p.max_iter}")
    if p.rampup_interval < 0:
        raise CaffeError(f"rampup_interval must not be negative, received {p.rampup_interval}")


def advance(p: Any, iteration: int, current: int) -> int:
    """Return current_step (as in the solverstate) at `iteration`, given its previous value `current`."""
    if p.lr_policy == "step":
        return iteration // p.stepsize
    while p.lr_policy == "multistep" and current < len(p.stepvalue) and iteration >= p.stepvalue[current]:
        current += 1
    return current


def learning_rate(p: Any, iteration: int, current: int) -> float:
    """Return the learning rate for the update of `iteration`.

    Parameters
    ----------
    p : SolverParameter
    iteration : int
        Number of updates done so far.
    current : int
        Number of steps of the `multistep` policy passed so far (current_step).
    """
    if iteration < p.rampup_interval:
        return p.rampup_lr + (p.base_lr - p.rampup_lr) * iteration / p.rampup_interval
    if not p.lr_policy:
        known = ", ".join(POLICIES)
        raise CaffeError(f"the solver has no lr_policy, which an update needs; set it to one of {known}")
    return POLICIES[p.lr_policy](p, iteration, current)
