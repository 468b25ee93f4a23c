"""Filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caffe.errors import CaffeError
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Filter(Layer):
    """Selects the items of all bottoms but the last where the last bottom, the selector, is not 0 (filter_layer.cpp).

    The first axis of the tops is the number of selected items, which depends on the data; before the first forward it
    is the bottom's. Items that are not selected have gradient 0.
    """

    num_bottom = (2, None)
    num_top = (1, None)
    rows_vary = True
    examples = (
        Example("", [(4, 3, 2), (4,)], values=("normal", "positive")),
        Example("", [(4, 3), (4, 2, 2), (4, 1)], values=("normal", "normal", "positive"), tops=2),
    )

    def setup(self, *bottoms: Shape) -> None:
        self.need(
            self.top_count == len(bottoms) - 1,
            "Filter has one top per bottom other than the selector (%d), received %d",
            len(bottoms) - 1,
            self.top_count,
        )

    def top_shapes(self, *bottoms: Shape) -> list[Shape]:
        *data, selector = bottoms
        self.need(
            all(d == 1 for d in selector[1:]),
            "all axes of the selector except the first must be 1, received %s",
            selector,
        )
        for shape in data:
            self.need(
                shape[:1] == selector[:1],
                "each bottom must have the same first dimension as the selector %s, received %s",
                selector[:1],
                shape,
            )
        return data

    def forward(self, *bottoms: Tensor) -> Tensor | tuple[Tensor, ...]:
        *data, selector = bottoms
        selected = selector.detach().reshape(-1).nonzero().reshape(-1)
        return tuple(x.index_select(0, selected) for x in data)

    def check_backward(self, propagate_down: Sequence[bool]) -> None:
        if propagate_down[-1]:
            raise CaffeError("Filter cannot backpropagate to its selector")

    def allow_force_backward(self, bottom: int) -> bool:
        return bottom != len(self.param.bottom) - 1

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        *data, selector = bottoms
        flat, nonzero, selected = g.temp("flat"), g.temp("nonzero"), g.temp("selected")
        g.node("Reshape", [selector, g.constant([-1], "shape")], [flat])
        g.node("NonZero", [flat], [nonzero])
        g.node("Squeeze", [nonzero], [selected], axes=[0])
        for name, top in zip(data, tops):
            g.node("Gather", [name, selected], [top], axis=0)
