"""Caffe's SGD in one pass over memory: decay, momentum and update of every weight together."""

from __future__ import annotations

import torch


def fits(solver):
    """Whether `solver`'s rule is what `update` computes: SGD with momentum and L2 decay, on the CPU."""
    p = solver.param
    plain = solver.type_name == "SGD" and p.momentum and p.regularization_type == "L2"
    return bool(plain) and solver.net.device.type == "cpu"


@torch.no_grad()
def update(weights, histories, rate, momentum, weight_decay):
    """V = momentum V + rate lr_mult (g + weight_decay decay_mult W); W -= V, for `weights` (Weight).

    `histories` holds a V for each. PyTorch's fused kernel has the rate outside of V; with a rate of 1 and a
    dampening of 1 - rate it is Caffe's rule. As with Caffe a weight's diff is V afterwards, though it is only
    written where somebody looks.
    """
    groups = {}
    for weight, history in zip(weights, histories):
        scales = (rate * weight.lr_mult, weight_decay * weight.decay_mult)
        groups.setdefault(scales, []).append((weight.blob, history))
    for (scale, decay), members in groups.items():
        data = [blob.tensor for blob, _ in members]
        gradients = [_as(blob.grad, values) for (blob, _), values in zip(members, data)]
        torch._fused_sgd_(
            data,
            gradients,
            [history for _, history in members],
            weight_decay=decay,
            momentum=momentum,
            lr=1.0,
            dampening=1.0 - scale,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        )
    for weight, history in zip(weights, histories):
        _show(weight.blob, history)


def _as(gradient, values):
    """The kernel walks through memory, so a gradient must lie as its weight does."""
    return gradient if gradient.stride() == values.stride() else gradient.contiguous()


def _show(blob, history):
    if blob.has_live_grad_view:
        blob.grad.copy_(history)
    else:
        blob.defer_grad(lambda gradient: gradient.copy_(history))
