"""LSTM over a batch of sequences."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import F, torch
from caffe.layers._recurrent import Recurrent, hidden_to_onnx
from caffe.layers.base import Example, Layer, Shape, Tensor, register
from caffe.layers.lstm_unit import Step, step_to_onnx


@register
class LSTM(Recurrent):
    """Long short-term memory: an LSTMUnit at each of T time steps (lstm_layer.cpp).

    Bottoms: x (T x N x ...), cont (T x N: 0 where a sequence starts, 1 where it continues), an optional static input
    (N x ...), and with expose_hidden h_0 and c_0 (1 x N x num_output). Tops: h at all steps (T x N x num_output), and
    with expose_hidden h_T and c_T. Blobs: W_xc (4 num_output x inputs) and b_c for the gates i, f, o, g; W_xc_static
    if there is a static input; W_hc (4 num_output x num_output). Without expose_hidden, the states persist from one
    forward to the next. Hochreiter & Schmidhuber 1997.
    """

    states = 2
    examples = (
        Example(
            'recurrent_param { num_output: 4 weight_filler { type: "uniform" min: -0.4 max: 0.4 } }',
            [(3, 2, 5), (3, 2)],
            ("normal", "binary"),
        ),
        Example(
            'recurrent_param { num_output: 3 weight_filler { type: "gaussian" std: 0.3 } }',
            [(3, 2, 2, 2), (3, 2), (2, 5)],
            ("normal", "binary"),
        ),
        Example(
            'recurrent_param { num_output: 3 expose_hidden: true weight_filler { type: "gaussian" std: 0.3 } }',
            [(2, 2, 4), (2, 2), (1, 2, 3), (1, 2, 3)],
            ("normal", "binary"),
            tops=3,
        ),
    )

    def add_weights(self, inputs: int, static: int | None) -> None:
        p = self.param.recurrent_param
        self.add_blob((4 * p.num_output, inputs), p.weight_filler)
        self.add_blob((4 * p.num_output,), p.bias_filler)
        if static is not None:
            self.add_blob((4 * p.num_output, static), p.weight_filler)
        self.add_blob((4 * p.num_output, p.num_output), p.weight_filler)

    def step(
        self, gates: Tensor, cont: Tensor, states: list[Tensor], weights: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        cell, hidden = states
        cell, hidden = Step.apply(cell, gates + F.linear(hidden * cont, weights[0]), cont)
        return hidden, [cell, hidden]

    def step_to_onnx(
        self, g: Any, gates: str, cont: str, states: list[str], weights: list[str]
    ) -> tuple[str, list[str]]:
        cell, hidden = states
        new_states = [g.temp("cell"), g.temp("hidden")]
        gates = hidden_to_onnx(g, gates, cont, hidden, weights[0])
        step_to_onnx(g, [cell, gates, cont], new_states, self.param.recurrent_param.num_output, axis=1)
        return new_states[1], new_states


@register
class Lstm(Layer):
    """LSTM of CTPN and caffe_ocr, a different layer than Caffe's LSTM: x (T x N x ...) to h (T x N x num_output).

    The initial states are zero. Blobs: W_x (4 num_output x inputs), W_h (4 num_output x num_output) and b, for the
    gates i, f, o, g. clipping_threshold limits gradients in training and is ignored; a second bottom is not
    implemented.
    """

    stick_form = True
    examples = (Example('lstm_param { num_output: 4 weight_filler { type: "gaussian" std: 0.4 } }', [(3, 2, 5)]),)

    def setup(self, x: Shape) -> None:
        p = self.param.lstm_param
        self.need(p.num_output > 0, "num_output must be positive, received %d", p.num_output)
        self.need(len(x) >= 3, "the bottom must have at least 3 axes, received %s", x)
        self.inputs = int(np.prod(x[2:]))
        for shape, filler in (
            ((self.inputs,), p.weight_filler),
            ((p.num_output,), p.weight_filler),
            ((), p.bias_filler),
        ):
            self.add_blob((4 * p.num_output, *shape), filler)

    def top_shapes(self, x: Shape) -> list[Shape]:
        self.need(int(np.prod(x[2:])) == self.inputs, "the weights are for %d inputs, the bottom is %s", self.inputs, x)
        return [(*x[:2], self.param.lstm_param.num_output)]

    def forward(self, x: Tensor) -> Tensor:
        weight, recurrent, bias = (blob.tensor for blob in self.blobs)
        gates = F.linear(x.flatten(2), weight, bias)
        hidden = cell = x.new_zeros((x.shape[1], self.param.lstm_param.num_output))
        steps = []
        for gate in gates:
            i, f, o, g = (gate + F.linear(hidden, recurrent)).chunk(4, 1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            hidden = torch.sigmoid(o) * torch.tanh(cell)
            steps.append(hidden)
        return torch.stack(steps)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        steps, count = g.shape(bottoms[0])[:2]
        if g.stick:
            self._unrolled_to_onnx(g, bottoms[0], tops[0], steps, count)
            return
        flat, hidden = g.temp("flat"), g.temp("hidden")
        g.node("Reshape", [bottoms[0], g.constant([steps, count, self.inputs], "shape")], [flat])
        weight, recurrent, bias = (_in_onnx_order(blob.data) for blob in self.blobs)
        bias = np.concatenate([bias, np.zeros_like(bias)], axis=1)
        names = [g.constant(array, name) for array, name in ((weight, "W"), (recurrent, "R"), (bias, "B"))]
        g.node("LSTM", [flat, *names], [hidden], hidden_size=self.param.lstm_param.num_output)
        g.node("Squeeze", [hidden], tops, axes=[1])

    def _unrolled_to_onnx(self, g, bottom, top, steps, count):
        """Emit every step with matrix products; the stick's compiler rejects the sequence."""
        size = self.param.lstm_param.num_output
        weight, recurrent, bias = (np.asarray(blob.data) for blob in self.blobs)
        flat = _emitted(g, "Reshape", [bottom, g.constant([steps * count, self.inputs], "rows")], "flat")
        product = _emitted(g, "MatMul", [flat, g.constant(np.ascontiguousarray(weight.T), "W")], "product")
        gates = _emitted(g, "Add", [product, g.constant(bias[None], "b")], "gates")
        hidden, cell, outputs = None, None, []
        for step in range(steps):
            total = _rows(g, gates, step * count, (step + 1) * count, axis=0)
            if hidden is not None:
                turned = g.constant(np.ascontiguousarray(recurrent.T), "R")
                total = _emitted(g, "Add", [total, _emitted(g, "MatMul", [hidden, turned], "state")], "sum")
            i, f, o, new = (_rows(g, total, n * size, (n + 1) * size, axis=1) for n in range(4))
            i, f, o = (_emitted(g, "Sigmoid", [gate], "gate") for gate in (i, f, o))
            added = _emitted(g, "Mul", [i, _emitted(g, "Tanh", [new], "new")], "added")
            if cell is not None:
                added = _emitted(g, "Add", [_emitted(g, "Mul", [f, cell], "kept"), added], "cell")
            cell = added
            hidden = _emitted(g, "Mul", [o, _emitted(g, "Tanh", [cell], "squashed")], "hidden")
            outputs.append(hidden)
        joined = outputs[0] if steps == 1 else _emitted(g, "Concat", outputs, "all", axis=0)
        g.node("Reshape", [joined, g.constant([steps, count, size], "shape")], [top])


def _rows(g, source, start, end, axis):
    """Emit the values start .. end of a matrix along `axis`, and return their name."""
    bounds = [g.constant([n], f"n{n}") for n in (start, end, axis)]
    return _emitted(g, "Slice", [source, *bounds], "part")


def _emitted(g, op, inputs, hint, **attributes):
    name = g.temp(hint)
    g.node(op, inputs, [name], **attributes)
    return name


def _in_onnx_order(array):
    """Return gates i, f, o, g in ONNX's order i, o, f, c, with an axis for the direction."""
    i, f, o, g = np.split(array, 4)
    return np.ascontiguousarray(np.concatenate([i, o, f, g])[None])
