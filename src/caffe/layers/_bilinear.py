"""Bilinear values at positions of an image, in torch and in ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers._emit import one
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


def sample(x: Tensor, row: Tensor, column: Tensor, fill: float = 0.0) -> Tensor:
    """Return the values of `x` (N x C x H x W) at N x P positions, N x C x P.

    They are `fill` outside 0 <= row < H, 0 <= column < W. Beyond the last pixel, its value is taken.
    """
    count, channels, height, width = x.shape
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    left, top = column.detach().floor(), row.detach().floor()
    across, down = (column - left)[:, None], (row - top)[:, None]
    corners = []
    for dy in (0, 1):
        for dx in (0, 1):
            ys = (top + dy).clamp(0, height - 1).nan_to_num().long()
            xs = (left + dx).clamp(0, width - 1).nan_to_num().long()
            index = (ys * width + xs)[:, None].expand(-1, channels, -1)
            corners.append(x.reshape(count, channels, -1).gather(2, index))
    upper = corners[0] * (1 - across) + corners[1] * across
    lower = corners[2] * (1 - across) + corners[3] * across
    return torch.where(inside[:, None], upper * (1 - down) + lower * down, fill)


def sample_to_onnx(g: Any, image: str, shape: tuple[int, ...], places: str, positions: int, fill: float = 0.0) -> str:
    """Emit `sample` of an image of `shape` at `positions` `places` (N x 2 x P: column, row) and return the name."""
    count, channels, height, width = shape
    sizes = np.array([width, height], np.float32).reshape(1, 2, 1)
    low = one(g, "Max", [places, g.constant(np.float32(-1), "before")], "low")
    clamped = one(g, "Min", [low, g.constant(sizes, "sizes")], "clamped")
    whole = one(g, "Floor", [clamped], "whole")
    part = one(g, "Sub", [clamped, whole], "part")
    flat = one(g, "Reshape", [image, g.constant([count, channels, height * width], "flat")], "flat")
    weights = [_near_and_far(g, part, axis) for axis in (0, 1)]
    parts = []
    for dy in (0, 1):
        for dx in (0, 1):
            index = _index_to_onnx(g, whole, (dx, dy), (height, width))
            wide = one(g, "Expand", [index, g.constant([count, channels, positions], "wide")], "wide")
            value = one(g, "GatherElements", [flat, wide], "value", axis=2)
            weight = one(g, "Mul", [weights[0][dx], weights[1][dy]], "weight")
            parts.append(one(g, "Mul", [value, weight], "product"))
    total = one(g, "Sum", parts, "total")
    return one(g, "Where", [_outside_to_onnx(g, places, sizes), g.constant(np.float32(fill), "fill"), total], "sampled")


def _near_and_far(g, part, axis):
    """Emit the weights of the two pixels on both sides of a position along an axis."""
    far = one(g, "Gather", [part, g.constant([axis], "axis")], "far", axis=1)
    return one(g, "Sub", [g.constant(np.float32(1), "one"), far], "near"), far


def _index_to_onnx(g, whole, shift, sizes):
    """Emit the numbers (N x 1 x P) of the pixels at `whole` + `shift`, limited to the image."""
    height, width = sizes
    last = np.array([width - 1, height - 1], np.float32).reshape(1, 2, 1)
    factors = np.array([1, width], np.float32).reshape(1, 2, 1)
    shifted = one(g, "Add", [whole, g.constant(np.array(shift, np.float32).reshape(1, 2, 1), "shift")], "shifted")
    low = one(g, "Max", [shifted, g.constant(np.float32(0), "zero")], "low")
    place = one(g, "Min", [low, g.constant(last, "last")], "place")
    scaled = one(g, "Mul", [place, g.constant(factors, "factors")], "scaled")
    return one(g, "Cast", [one(g, "ReduceSum", [scaled], "index", axes=[1], keepdims=1)], "number", to=7)


def _outside_to_onnx(g, places, sizes):
    """Emit whether positions are outside the image, N x 1 x P."""
    low = one(g, "Less", [places, g.constant(np.float32(0), "zero")], "low")
    high = one(g, "Not", [one(g, "Less", [places, g.constant(sizes, "sizes")], "below")], "high")
    number = one(g, "Cast", [one(g, "Or", [low, high], "outside")], "number", to=1)
    either = one(g, "ReduceMax", [number], "any", axes=[1], keepdims=1)
    return one(g, "Greater", [either, g.constant(np.float32(0.5), "half")], "none")
