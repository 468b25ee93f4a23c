"""Bilinear values at positions of an image, in torch and in ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Tensor


def line_weights(positions: Tensor, size: int) -> Tensor:
    """Return the weights of the `size` values of a line at `positions` (…), shape (…, size).

    A position beyond the first or last value has its weight, up to half a step; farther ones have no weight.
    """
    inside = (positions >= -0.5) & (positions <= size - 0.5)
    clamped = positions.clamp(0, size - 1)
    numbers = torch.arange(size, dtype=positions.dtype, device=positions.device)
    return (1 - (clamped[..., None] - numbers).abs()).clamp(min=0) * inside[..., None]


def line_weights_to_onnx(g: Any, positions: str, size: int) -> str:
    """Emit `line_weights` of a tensor with a last axis of size 1, and return the name."""
    names = ("low", "clamped", "distance", "size", "near", "weight", "start", "end", "outside", "inside", "mask", "out")
    low, clamped, distance, length, near, weight, start, end, outside, inside, mask, out = (g.temp(n) for n in names)
    g.node("Max", [positions, g.constant(np.float32(0), "zero")], [low])
    g.node("Min", [low, g.constant(np.float32(size - 1), "last")], [clamped])
    g.node("Sub", [clamped, g.constant(np.arange(size, dtype=np.float32), "numbers")], [distance])
    g.node("Abs", [distance], [length])
    g.node("Sub", [g.constant(np.float32(1), "one"), length], [near])
    g.node("Max", [near, g.constant(np.float32(0), "zero")], [weight])
    g.node("Less", [positions, g.constant(np.float32(-0.5), "before")], [start])
    g.node("Greater", [positions, g.constant(np.float32(size - 0.5), "after")], [end])
    g.node("Or", [start, end], [outside])
    g.node("Not", [outside], [inside])
    g.node("Cast", [inside], [mask], to=1)
    g.node("Mul", [weight, mask], [out])
    return out
