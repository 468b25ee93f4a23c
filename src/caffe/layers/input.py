"""Input: blobs that the user writes."""

from __future__ import annotations

from typing import Any

from caffe.errors import CaffeError
from caffe.layers.base import Example, Layer, Shape, register


@register
class Input(Layer):
    """Tops that the user writes before forward, with one `shape` per top or one for all (input_layer.cpp)."""

    num_bottom = 0
    num_top = (1, None)
    examples = (Example("input_param { shape { dim: 2 dim: 3 dim: 4 dim: 5 } }", []),)

    def setup_blobs(self, bottoms: list[Any], tops: list[Any]) -> None:
        self._tops = tops

    def setup(self) -> None:
        shapes = [tuple(s.dim) for s in self.param.input_param.shape]
        self.need(
            len(shapes) in (0, 1, self.top_count),
            "input_param: expected no shape, one, or one per top (%d); received %d",
            self.top_count,
            len(shapes),
        )
        for blob, shape in zip(self._tops, shapes * self.top_count if len(shapes) == 1 else shapes):
            blob.reshape(*shape)

    def top_shapes(self) -> list[Shape]:
        return [blob.shape for blob in self._tops]  # the user may reshape them at any time

    def forward(self) -> None:
        return None

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        raise CaffeError("Input has no ONNX node: it is the input of the graph")
