"""LSTMUnit: one time step of an LSTM without its matrix products."""

from caffe.core.lazy_torch import Function, torch
from caffe.layers.base import Example, Layer, register


@register
class LSTMUnit(Layer):
    """From the cell state 1 x N x D, the gates' inputs 1 x N x 4D and the continuation 1 x N: the next cell
    state and hidden state.

    c' = cont sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c'), where the gates' inputs are i, f,
    o, g in this order (Zaremba & Sutskever 2014; lstm_unit_layer.cpp).
    """

    num_bottom, num_top = 3, 2
    no_gradient = (2,)
    examples = (Example("", [(1, 3, 4), (1, 3, 16), (1, 3)], ("normal", "normal", "binary"), tops=2),)

    def top_shapes(self, cell, gates, cont):
        self.need(
            len(cell) == 3 and cell[0] == 1 and gates == (1, cell[1], 4 * cell[2]) and cont == (1, cell[1]),
            "bottoms must be 1 x N x D, 1 x N x 4D and 1 x N, received %s, %s and %s",
            cell,
            gates,
            cont,
        )
        return [cell, cell]

    def forward(self, cell, gates, cont):
        return Step.apply(cell, gates, cont.detach()[..., None])

    def to_onnx(self, g, bottoms, tops):
        _, streams, size = g.shape(bottoms[0])
        cont = g.temp("cont")
        g.node("Reshape", [bottoms[2], g.constant([1, streams, 1], "shape")], [cont])
        step_to_onnx(g, [bottoms[0], bottoms[1], cont], tops, size, axis=2)


class Step(Function):
    """(c, gates, cont) -> (c', h) along the last axis, with Caffe's derivative (for cont other than 0 and
    1, its own).
    """

    @staticmethod
    def forward(ctx, cell, gates, cont):
        i, f, o, g = gates.chunk(4, -1)
        i, o, g, f = i.sigmoid(), o.sigmoid(), g.tanh(), torch.where(cont == 0, 0.0, cont * f.sigmoid())
        after = f * cell + i * g
        squashed = after.tanh()
        ctx.save_for_backward(cell, i, f, o, g, squashed)
        return after, o * squashed

    @staticmethod
    def backward(ctx, dafter, dhidden):
        cell, i, f, o, g, squashed = ctx.saved_tensors
        dcell = dafter + dhidden * o * (1 - squashed * squashed)
        dgates = (
            dcell * g * i * (1 - i),
            dcell * cell * f * (1 - f),
            dhidden * squashed * o * (1 - o),
            dcell * i * (1 - g * g),
        )
        return dcell * f, torch.cat(dgates, -1), None


def step_to_onnx(g, inputs, outputs, size, axis):
    """Emit a step: `inputs` cell, gates and cont (with a last axis of 1), `outputs` the next cell and
    hidden state.
    """
    cell, gates, cont = inputs
    parts = [g.temp(n) for n in "ifog"]
    g.node("Split", [gates], parts, axis=axis, split=[size] * 4)
    i, f, o, c = (g.temp(n) for n in ("input", "forget", "output", "candidate"))
    for op, source, result in zip(("Sigmoid",) * 3 + ("Tanh",), parts, (i, f, o, c)):
        g.node(op, [source], [result])
    open_, kept, added, squashed = (g.temp(n) for n in ("open", "kept", "added", "squashed"))
    g.node("Mul", [f, cont], [open_])
    g.node("Mul", [open_, cell], [kept])
    g.node("Mul", [i, c], [added])
    g.node("Add", [kept, added], [outputs[0]])
    g.node("Tanh", [outputs[0]], [squashed])
    g.node("Mul", [o, squashed], [outputs[1]])
