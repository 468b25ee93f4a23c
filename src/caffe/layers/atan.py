"""Atan."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Tensor, register


@register
class Atan(Layer):
    """y = arctan(x) (Synopsys)."""

    stick_form = True
    examples = (Example("", [(2, 3, 4)]),)

    def forward(self, x: Tensor) -> Tensor:
        return torch.atan(x)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        if g.stick:
            _by_half_angles(g, bottoms[0], tops[0])
        else:
            g.node("Atan", bottoms, tops)


def _by_half_angles(g, x, top):
    """Emit arctan(x) = 8 arctan(w), with w from three halvings w = x / (1 + sqrt(1 + x^2)), and arctan's series.

    x is limited to 250, so that its square is in the range of float16: beyond, the error is less than 0.004.
    """
    one = g.constant(np.float32(1), "one")
    w = g.temp("limited")
    g.node("Clip", [x, g.constant(np.float32(-250), "least"), g.constant(np.float32(250), "most")], [w])
    for _ in range(3):
        square, shifted, root, below, half = (g.temp(n) for n in ("square", "shifted", "root", "below", "half"))
        g.node("Mul", [w, w], [square])
        g.node("Add", [square, one], [shifted])
        g.node("Sqrt", [shifted], [root])
        g.node("Add", [root, one], [below])
        g.node("Div", [w, below], [half])
        w = half
    square, total = g.temp("square"), None
    g.node("Mul", [w, w], [square])
    for factor in (8 / 9, -8 / 7, 8 / 5, -8 / 3, 8.0):
        constant = g.constant(np.float32(factor), "factor")
        if total is None:
            total = constant
            continue
        product, added = g.temp("product"), g.temp("added")
        g.node("Mul", [square, total], [product])
        g.node("Add", [product, constant], [added])
        total = added
    g.node("Mul", [w, total], [top])
