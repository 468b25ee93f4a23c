"""LSTM over a batch of sequences."""

import numpy as np

from caffe.core.lazy_torch import F, torch
from caffe.layers._recurrent import Recurrent, hidden_to_onnx
from caffe.layers.base import Example, Layer, register
from caffe.layers.lstm_unit import Step, step_to_onnx


@register
class LSTM(Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; lstm_layer.cpp), LSTMUnit at each of T time
    steps.

    Bottoms: x (T x N x ...), cont (T x N: 0 where a sequence starts, 1 where it goes on), a static input (N
    x ...) if there is one, and with expose_hidden h_0 and c_0 (1 x N x num_output). Tops: h at all steps (T
    x N x num_output), and with expose_hidden h_T and c_T. Blobs: W_xc (4 num_output x inputs) and b_c for
    the gates i, f, o, g; W_xc_static where there is a static input; W_hc (4 num_output x num_output).
    Without expose_hidden the states live on from one forward to the next.
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

    def add_weights(self, inputs, static):
        p = self.param.recurrent_param
        self.add_blob((4 * p.num_output, inputs), p.weight_filler)
        self.add_blob((4 * p.num_output,), p.bias_filler)
        if static is not None:
            self.add_blob((4 * p.num_output, static), p.weight_filler)
        self.add_blob((4 * p.num_output, p.num_output), p.weight_filler)

    def step(self, gates, cont, states, weights):
        cell, hidden = states
        cell, hidden = Step.apply(cell, gates + F.linear(hidden * cont, weights[0]), cont)
        return hidden, [cell, hidden]

    def step_to_onnx(self, g, gates, cont, states, weights):
        cell, hidden = states
        after = [g.temp("cell"), g.temp("hidden")]
        gates = hidden_to_onnx(g, gates, cont, hidden, weights[0])
        step_to_onnx(g, [cell, gates, cont], after, self.param.recurrent_param.num_output, axis=1)
        return after[1], after


@register
class Lstm(Layer):
    """The LSTM of CTPN and caffe_ocr, another layer than Caffe's LSTM: x (T x N x ...) to h at all steps (T x N x
    num_output), beginning from zeros.

    Blobs: W_x (4 num_output x inputs), W_h (4 num_output x num_output) and b, for the gates i, f, o, g.
    clipping_threshold limits derivatives in training, which is left out; a second bottom is not implemented.
    """

    examples = (Example('lstm_param { num_output: 4 weight_filler { type: "gaussian" std: 0.4 } }', [(3, 2, 5)]),)

    def setup(self, x):
        p = self.param.lstm_param
        self.need(len(x) >= 3 and p.num_output > 0, "lstm_param needs num_output, the bottom 3 axes: %s", x)
        self.inputs = int(np.prod(x[2:]))
        for shape, filler in (
            ((self.inputs,), p.weight_filler),
            ((p.num_output,), p.weight_filler),
            ((), p.bias_filler),
        ):
            self.add_blob((4 * p.num_output, *shape), filler)

    def top_shapes(self, x):
        self.need(int(np.prod(x[2:])) == self.inputs, "the weights are for %d inputs, the bottom is %s", self.inputs, x)
        return [(*x[:2], self.param.lstm_param.num_output)]

    def forward(self, x):
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

    def to_onnx(self, g, bottoms, tops):
        steps, count = g.shape(bottoms[0])[:2]
        outputs = self.param.lstm_param.num_output
        rows, every = g.temp("rows"), g.temp("every")
        g.node("Reshape", [bottoms[0], g.constant([steps, count, self.inputs], "shape")], [rows])
        weight, recurrent, bias = (_in_onnx_order(blob.data) for blob in self.blobs)
        bias = np.concatenate([bias, np.zeros_like(bias)], axis=1)
        names = [g.constant(array, name) for array, name in ((weight, "W"), (recurrent, "R"), (bias, "B"))]
        g.node("LSTM", [rows, *names], [every], hidden_size=outputs)
        g.node("Squeeze", [every], tops, axes=[1])


def _in_onnx_order(array):
    """Gates i, f, o, g as ONNX' i, o, f, c, with an axis for the direction."""
    i, f, o, g = np.split(array, 4)
    return np.ascontiguousarray(np.concatenate([i, o, f, g])[None])
