"""RNN: a simple recurrent layer over a batch of sequences."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import F
from caffe.layers._recurrent import Recurrent, hidden_to_onnx, product_to_onnx
from caffe.layers.base import Example, Tensor, register


@register
class RNN(Recurrent):
    """h_t = tanh(W_hh cont_t h_{t-1} + W_xh x_t + b_h), o_t = tanh(W_ho h_t + b_o) for T time steps (rnn_layer.cpp).

    Bottoms: x (T x N x ...), cont (T x N: 0 where a sequence starts, 1 where it continues), an optional static input
    (N x ...), and with expose_hidden h_0 (1 x N x num_output). Tops: o (T x N x num_output), and with expose_hidden
    h_T. Blobs: W_xh (num_output x inputs), b_h, W_xh_static if there is a static input, W_hh, W_ho, b_o. Without
    expose_hidden, the state persists from one forward to the next.
    """

    examples = (
        Example(
            'recurrent_param { num_output: 1 weight_filler { type: "gaussian" } }',
            [(2, 2, 3), (2, 2)],
            ("normal", "binary"),
        ),
        Example(
            'recurrent_param { num_output: 4 weight_filler { type: "uniform" min: -0.4 max: 0.4 } }',
            [(3, 2, 5), (3, 2)],
            ("normal", "binary"),
        ),
        Example(
            'recurrent_param { num_output: 3 expose_hidden: true weight_filler { type: "gaussian" std: 0.3 } }',
            [(2, 2, 4), (2, 2), (2, 5), (1, 2, 3)],
            ("normal", "binary"),
            tops=2,
        ),
    )

    def add_weights(self, inputs: int, static: int | None) -> None:
        p = self.param.recurrent_param
        size = p.num_output
        self.add_blob((size, inputs), p.weight_filler)
        self.add_blob((size,), p.bias_filler)
        if static is not None:
            self.add_blob((size, static), p.weight_filler)
        self.add_blob((size, size), p.weight_filler)
        self.add_blob((size, size), p.weight_filler)
        self.add_blob((size,), p.bias_filler)

    def step(
        self, gates: Tensor, cont: Tensor, states: list[Tensor], weights: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        hidden = (gates + F.linear(states[0] * cont, weights[0])).tanh()
        return F.linear(hidden, weights[1], weights[2]).tanh(), [hidden]

    def step_to_onnx(
        self, g: Any, gates: str, cont: str, states: list[str], weights: list[str]
    ) -> tuple[str, list[str]]:
        hidden, output = g.temp("hidden"), g.temp("output")
        g.node("Tanh", [hidden_to_onnx(g, gates, cont, states[0], weights[0])], [hidden])
        g.node("Tanh", [product_to_onnx(g, hidden, *weights[1:])], [output])
        return output, [hidden]
