"""Shared code of Ristretto's layers: a layer whose bottoms, blobs and tops are rounded to few bits."""

from __future__ import annotations

import types
from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers._emit import one
from caffe.layers.base import Layer, Shape, Tensor
from caffe.proto import caffe_pb2

_PARAM = caffe_pb2.QuantizationParameter
_FIXED, _POWER_OF_2 = _PARAM.DYNAMIC_FIXED_POINT, _PARAM.INTEGER_POWER_OF_2_WEIGHTS


class RistrettoLayer(Layer):
    """Base of the types; a subclass says which plain layer it contains."""

    plain: type[Layer]

    def setup(self, *bottoms: Shape) -> None:
        p = self.param.quantization_param
        self.need(p.precision in (_FIXED, _POWER_OF_2), "precision: MINIFLOAT is not implemented")
        self.need(p.rounding_scheme == p.NEAREST, "rounding_scheme: STOCHASTIC is not implemented")
        for name in ("fl_layer_in", "fl_layer_out", "fl_params", "th_layer_in", "th_layer_out"):
            self.need(p.precision != _FIXED or len(getattr(p, name)) <= 1, "%s has several values", name)
        self.inner = self.plain(self.param, self.phase, None, self.generator)
        self.inner.device = self.device
        self.inner.setup(*bottoms)
        self.blobs = self.inner.blobs

    def top_shapes(self, *bottoms: Shape) -> list[Shape]:
        return self.inner.top_shapes(*bottoms)

    def _grid(self, name: str) -> tuple[Any, Any, Any] | None:
        """Return step and limits of the bottoms (layer_in), tops (layer_out) or blobs (params); None: not rounded.

        With several th_params of Xilinx' ml-suite they are arrays, with one number for each output. "bias" is for a
        bias with such thresholds, whose limit is that of the tops.
        """
        p = self.param.quantization_param
        if p.precision != _FIXED:
            return None
        limit = getattr(p, "th_layer_out" if name == "bias" else "th_" + name)
        if limit:
            bits = p.bw_params if name == "bias" else getattr(p, "bw_" + name)
            most = np.array(limit, np.float64) if len(limit) > 1 else limit[0]
            return most / (2.0 ** (bits - 1) - 1), -most, most
        name = "params" if name == "bias" else name
        position = getattr(p, "fl_" + name)
        step = 2.0 ** -(position[0] if len(position) else 0)
        most = 2.0 ** (getattr(p, "bw_" + name) - 1)
        return step, -most * step, (most - 1) * step

    def _rounded(self, x: Tensor, name: str) -> Tensor:
        """Round to the grid; the gradient passes as if nothing was rounded, as in Ristretto."""
        grid = self._grid(name)
        if grid is None:
            return x
        step, least, most = (_for_outputs(torch.tensor(values, dtype=x.dtype).to(x.device), x) for values in grid)
        value = x.detach().clamp(least, most) / step
        return x + (torch.sign(value) * torch.floor(value.abs() + 0.5) * step - x.detach())

    def _parameters(self, tensor: Tensor, is_weight: bool) -> Tensor:
        p = self.param.quantization_param
        if p.precision == _FIXED or not is_weight:
            return self._rounded(tensor, self._kind(is_weight))
        size = torch.log2(tensor.detach().abs())
        exponent = (torch.sign(size) * torch.floor(size.abs() + 0.5)).clamp(p.exp_min, p.exp_max)
        sign = torch.where(tensor >= 0, 1.0, -1.0)
        return tensor + (sign * torch.exp2(exponent) - tensor.detach())

    def _kind(self, is_weight):
        return "params" if is_weight or not self.param.quantization_param.th_params else "bias"

    def _exported_parameters(self, array: np.ndarray, is_weight: bool) -> np.ndarray:
        """Return what `_parameters` computes, without torch."""
        p, grid = self.param.quantization_param, self._grid(self._kind(is_weight))
        if grid is not None:
            step, least, most = (_for_outputs(np.asarray(values, np.float32), array) for values in grid)
            return _nearest(array.clip(least, most) / step) * step
        if not is_weight:
            return array
        with np.errstate(divide="ignore"):
            exponent = _nearest(np.log2(np.abs(array))).clip(p.exp_min, p.exp_max)
        return np.where(array >= 0, np.float32(1), np.float32(-1)) * np.exp2(exponent)

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        tensors = [self._parameters(blob.tensor, number == 0) for number, blob in enumerate(self.blobs)]
        self.inner.blobs = [types.SimpleNamespace(tensor=tensor) for tensor in tensors]
        tops: Any = self.inner.forward(*(self._rounded(x, "layer_in") for x in bottoms))
        tops = tops if isinstance(tops, tuple) else (tops,)
        return tuple(self._rounded(top, "layer_out") for top in tops)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        inputs = [self._rounded_to_onnx(g, bottom, g.temp("rounded"), "layer_in") for bottom in bottoms]
        for name, bottom in zip(inputs, bottoms):
            g.declare(name, g.shape(bottom))
        arrays = [self._exported_parameters(blob.data, number == 0) for number, blob in enumerate(self.blobs)]
        self.inner.blobs = [types.SimpleNamespace(data=array, shape=array.shape) for array in arrays]
        if self._grid("layer_out") is None:
            self.inner.to_onnx(g, inputs, tops)
            return
        outputs = [g.temp("plain") for _ in tops]
        self.inner.to_onnx(g, inputs, outputs)
        for name, top in zip(outputs, tops):
            self._rounded_to_onnx(g, name, top, "layer_out")

    def _rounded_to_onnx(self, g, name, out, kind):
        """Emit the rounding of `name` as `out`, and return its name."""
        grid = self._grid(kind)
        if grid is None:
            return name
        step, *limits = grid
        inside = one(
            g, "Clip", [name, *(g.constant(np.float32(v), f"limit{i}") for i, v in enumerate(limits))], "inside"
        )
        value = one(g, "Mul", [inside, g.constant(np.float32(1 / step), "steps")], "value")
        half = one(g, "Add", [one(g, "Abs", [value], "size"), g.constant(np.float32(0.5), "half")], "half")
        whole = one(g, "Mul", [one(g, "Floor", [half], "whole"), one(g, "Sign", [value], "sign")], "signed")
        g.node("Mul", [whole, g.constant(np.float32(step), "step")], [out])
        return out


def _for_outputs(values: Any, array: Any) -> Any:
    """Return numbers, one for all or for each output, in a form that broadcasts with the weights `array`."""
    return values.reshape(-1, *[1] * (array.ndim - 1)) if values.ndim else values


def _nearest(values: np.ndarray) -> np.ndarray:
    """Round to whole numbers, halves away from 0."""
    return np.sign(values) * np.floor(np.abs(values) + np.float32(0.5))
