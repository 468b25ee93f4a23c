"""LSTMUnit: one time step of an LSTM, without its matrix products."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import Function, torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class LSTMUnit(Layer):
    """One LSTM step: the next cell state and hidden state (lstm_unit_layer.cpp).

    c' = cont sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c'). Bottoms: the cell state c, 1 x N x D; the gate
    inputs i, f, o, g in this order, 1 x N x 4D; cont, 1 x N. Zaremba & Sutskever 2014.
    """

    num_bottom, num_top = 3, 2
    no_gradient = (2,)
    examples = (Example("", [(1, 3, 4), (1, 3, 16), (1, 3)], ("normal", "normal", "binary"), tops=2),)

    def top_shapes(self, cell: Shape, gates: Shape, cont: Shape) -> list[Shape]:
        self.need(
            len(cell) == 3 and cell[0] == 1 and gates == (1, cell[1], 4 * cell[2]) and cont == (1, cell[1]),
            "bottoms must be 1 x N x D, 1 x N x 4D and 1 x N, received %s, %s and %s",
            cell,
            gates,
            cont,
        )
        return [cell, cell]

    def forward(self, cell: Tensor, gates: Tensor, cont: Tensor) -> Tensor | tuple[Tensor, ...]:
        return Step.apply(cell, gates, cont.detach()[..., None])

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        _, streams, size = g.shape(bottoms[0])
        cont = g.temp("cont")
        g.node("Reshape", [bottoms[2], g.constant([1, streams, 1], "shape")], [cont])
        step_to_onnx(g, [bottoms[0], bottoms[1], cont], tops, size, axis=2)


class Step(Function):
    """(c, gates, cont) -> (c', h) along the last axis; the gradient is Caffe's, exact also for fractional cont."""

    @staticmethod
    def forward(ctx, cell, gates, cont):
        i, f, o, g = gates.chunk(4, -1)
        i, o, g, f = i.sigmoid(), o.sigmoid(), g.tanh(), torch.where(cont == 0, 0.0, cont * f.sigmoid())
        new_cell = f * cell + i * g
        squashed = new_cell.tanh()
        ctx.save_for_backward(cell, i, f, o, g, squashed)
        return new_cell, o * squashed

    @staticmethod
    def backward(ctx, dnew_cell, dhidden):
        cell, i, f, o, g, squashed = ctx.saved_tensors
        dcell = dnew_cell + dhidden * o * (1 - squashed * squashed)
        dgates = (
            dcell * g * i * (1 - i),
            dcell * cell * f * (1 - f),
            dhidden * squashed * o * (1 - o),
            dcell * i * (1 - g * g),
        )
        return dcell * f, torch.cat(dgates, -1), None


def step_to_onnx(g: Any, inputs: list[str], outputs: list[str], size: int, axis: int) -> None:
    """Emit a step from cell, gates and cont (with a last axis of 1) to the next cell and hidden state."""
    cell, gates, cont = inputs
    parts = [g.temp(n) for n in "ifog"]
    g.node("Split", [gates], parts, axis=axis, split=[size] * 4)
    i, f, o, c = (g.temp(n) for n in ("input", "forget", "output", "candidate"))
    for op, source, result in zip(("Sigmoid",) * 3 + ("Tanh",), parts, (i, f, o, c)):
        g.node(op, [source], [result])
    gate, retained, added, squashed = (g.temp(n) for n in ("gate", "retained", "added", "squashed"))
    g.node("Mul", [f, cont], [gate])
    g.node("Mul", [gate, cell], [retained])
    g.node("Mul", [i, c], [added])
    g.node("Add", [retained, added], [outputs[0]])
    g.node("Tanh", [outputs[0]], [squashed])
    g.node("Mul", [o, squashed], [outputs[1]])
