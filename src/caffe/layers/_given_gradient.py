"""A loss whose gradient is computed together with it, for losses that forks define by their gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import Function, torch


class _GivenGradient(Function):
    @staticmethod
    def forward(ctx, x, loss, gradient):
        ctx.save_for_backward(gradient)
        return loss

    @staticmethod
    def backward(ctx, dtop):
        (gradient,) = ctx.saved_tensors
        return dtop * gradient, None, None


def with_gradient(x: Any, loss: float, gradient: np.ndarray) -> Any:
    """Return the scalar tensor `loss`, whose gradient for the tensor `x` is `gradient`."""
    slope = torch.from_numpy(np.ascontiguousarray(gradient)).to(x.device, x.dtype)
    return _GivenGradient.apply(x, torch.tensor(float(loss), dtype=x.dtype).to(x.device), slope)
