"""ReduceMax: the maximum over axes."""

from __future__ import annotations

from typing import Any

from caffe.layers._reduce_axes import ReduceAxesLayer
from caffe.layers.base import Example, Tensor, register


@register
class ReduceMax(ReduceAxesLayer):
    """The maximum over the axes `axis`, by default all; keepdims leaves them with size 1 (Synopsys)."""

    onnx_type = "ReduceMax"
    examples = (
        Example("reduce_max_param { axis: 1 axis: -1 }", [(2, 3, 4, 5)]),
        Example("reduce_max_param { axis: 2 keepdims: true }", [(2, 3, 4)]),
    )

    def options(self) -> Any:
        return self.param.reduce_max_param

    def reduce(self, x: Tensor, axis: int) -> Tensor:
        return x.max(axis, keepdim=True).values
