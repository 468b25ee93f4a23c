"""Parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caffe.layers.base import Example, Layer, Shape, register


@register
class Parameter(Layer):
    """A learnable array of shape `shape` that other layers read (parameter_layer.hpp).

    The top is the weight blob itself, which starts at 0, or as caffe-windows' blob_filler says. As in Caffe, each
    backward sets its diff instead of adding to it.
    """

    num_bottom = 0
    examples = (Example("parameter_param { shape { dim: 2 dim: 3 } }", []),)

    def setup(self) -> None:
        p = self.param.parameter_param
        self.add_blob(p.shape.dim, p.blob_filler if p.HasField("blob_filler") else None)

    def top_shapes(self) -> list[Shape]:
        return [tuple(self.param.parameter_param.shape.dim)]

    def forward_blobs(self, bottoms: list[Any], tops: list[Any], record: bool) -> None:
        tops[0].share(self.blobs[0])

    def backward_blobs(self, tops: list[Any], propagate_down: Sequence[bool], bottoms: list[Any]) -> None:
        """Do nothing: the top's diff is the weight's diff."""

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.node("Identity", [g.constant(self.blobs[0].data, "blob0")], tops)
