"""BNLL: the binomial normal log likelihood, a smooth ReLU."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import Function, torch
from caffe.layers.base import Example, Layer, Tensor, register

LARGEST = 50.0  # kBNLL_THRESHOLD: the largest argument of exp in the gradient


@register
class BNLL(Layer):
    """y = log(1 + exp(x)), also known as softplus (bnll_layer.cpp)."""

    examples = (Example("", [(2, 3, 4, 5)]),)

    def forward(self, x: Tensor) -> Tensor:
        return _BNLL.apply(x)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.node("Softplus", bottoms, tops)


class _BNLL(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0) + torch.log1p(torch.exp(-x.abs()))

    @staticmethod
    def backward(ctx, grad):
        return grad * torch.sigmoid(ctx.saved_tensors[0].clamp(max=LARGEST))
