"""LSTM over a batch of sequences."""

from __future__ import annotations

from typing import Any

from caffe.core.lazy_torch import F
from caffe.layers._recurrent import Recurrent, hidden_to_onnx
from caffe.layers.base import Example, Tensor, register
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
