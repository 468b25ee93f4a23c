"""Caffe's SGD in one pass over memory: decay, momentum and update of all weights together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


def is_supported(solver: Any) -> bool:
    """Return whether `update` implements the solver's rule: SGD with momentum and L2 decay, on the CPU."""
    p = solver.param
    plain = solver.type_name == "SGD" and p.momentum and p.regularization_type == "L2"
    return bool(plain) and solver.net.device.type == "cpu"


@torch.no_grad()
def update(
    weights: Sequence[Any], histories: Sequence[torch.Tensor], rate: float, momentum: float, weight_decay: float
) -> None:
    """Compute V = momentum V + rate lr_mult (g + weight_decay decay_mult W); W -= V.

    PyTorch's fused kernel applies the rate outside of V; with a rate of 1 and a dampening of 1 - rate it is Caffe's
    rule. As in Caffe, the diff of a weight is V afterwards, but it is written only when accessed.

    Parameters
    ----------
    weights : list of Weight
    histories : list of Tensor
        One V per weight, updated in place.
    rate, momentum, weight_decay : float
    """
    groups: dict[tuple[float, float], list[tuple[Any, torch.Tensor]]] = {}
    for weight, history in zip(weights, histories):
        scales = (rate * weight.lr_mult, weight_decay * weight.decay_mult)
        groups.setdefault(scales, []).append((weight.blob, history))
    for (scale, decay), members in groups.items():
        data = [blob.tensor for blob, _ in members]
        gradients = [_match_strides(blob.grad, values) for (blob, _), values in zip(members, data)]
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
        _set_diff(weight.blob, history)


def _match_strides(gradient, values):
    """Return `gradient` with the memory layout of its weight, since the kernel iterates over raw memory."""
    return gradient if gradient.stride() == values.stride() else gradient.contiguous()


def _set_diff(blob, history):
    if blob.has_live_grad_view:
        blob.grad.copy_(history)
    else:
        blob.set_pending_grad(lambda gradient: gradient.copy_(history))
