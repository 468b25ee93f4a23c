"""Filter."""

from caffe.errors import CaffeError
from caffe.layers.base import Example, Layer, register


@register
class Filter(Layer):
    """Of each bottom but the last, the items whose selector, the last bottom, is not 0 (filter_layer.cpp).

    The tops' first axis has as many items as were selected, which changes with the data; before the first
    forward pass it is the bottom's. Items not selected get a zero derivative.
    """

    num_bottom = (2, None)
    num_top = (1, None)
    rows_vary = True
    examples = (
        Example("", [(4, 3, 2), (4,)], values=("normal", "positive")),
        Example("", [(4, 3), (4, 2, 2), (4, 1)], values=("normal", "normal", "positive"), tops=2),
    )

    def setup(self, *bottoms):
        self.need(
            self.top_count == len(bottoms) - 1,
            "Filter makes one top a bottom besides the selector: %d, received %d",
            len(bottoms) - 1,
            self.top_count,
        )

    def top_shapes(self, *bottoms):
        *data, selector = bottoms
        self.need(
            all(d == 1 for d in selector[1:]),
            "the selector's axes must be 1 except the first, received %s",
            selector,
        )
        for shape in data:
            self.need(
                shape[:1] == selector[:1],
                "each bottom must have the selector's first dimension %s, received %s",
                selector[:1],
                shape,
            )
        return data

    def forward(self, *bottoms):
        *data, selector = bottoms
        chosen = selector.detach().reshape(-1).nonzero().reshape(-1)
        return tuple(x.index_select(0, chosen) for x in data)

    def check_backward(self, propagate_down):
        if propagate_down[-1]:
            raise CaffeError("Filter cannot backpropagate to its selector")

    def allow_force_backward(self, bottom):
        return bottom != len(self.param.bottom) - 1

    def to_onnx(self, g, bottoms, tops):
        *data, selector = bottoms
        flat, found, chosen = g.temp("flat"), g.temp("found"), g.temp("chosen")
        g.node("Reshape", [selector, g.constant([-1], "shape")], [flat])
        g.node("NonZero", [flat], [found])
        g.node("Squeeze", [found], [chosen], axes=[0])
        for name, top in zip(data, tops):
            g.node("Gather", [name, chosen], [top], axis=0)
