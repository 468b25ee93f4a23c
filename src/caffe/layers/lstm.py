"""LSTM over a batch of sequences."""

from __future__ import annotations

import math
from typing import Any

from caffe.core.lazy_torch import F, Function, torch
from caffe.layers import _lstm_onnx
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
    """LSTM of caffe-lstm, CTPN and caffe_ocr, a different layer than Caffe's LSTM (lstm_layer.cpp of caffe-lstm).

    Bottom of CTPN and caffe_ocr: x (T x N x ...), with the top h (T x N x num_output). Bottoms of caffe-lstm: x (T N x
    ..., for N = batch_size sequences) and optionally clip (T N: 0 where a sequence starts, 1 where it continues), with
    the top h (T N x num_output); a bottom with clip, with two axes, or of a layer with batch_size is read in this way.
    The initial states are zero; with clip, they are the last states of the forward before. Blobs: W_x (4 num_output x
    inputs), W_h (4 num_output x num_output) and b, for the gates i, f, o, g. clipping_threshold limits the gradients of
    the gates' inputs at each step.
    """

    num_bottom = (1, 2)
    no_gradient = (1,)
    stick_form = True
    examples = (
        Example('lstm_param { num_output: 4 weight_filler { type: "gaussian" std: 0.4 } }', [(3, 2, 5)]),
        Example(
            'lstm_param { num_output: 3 batch_size: 2 weight_filler { type: "gaussian" std: 0.4 } }',
            [(6, 4), (6,)],
            ("normal", "binary"),
        ),
    )

    def setup(self, x: Shape, clip: Shape | None = None) -> None:
        p = self.param.lstm_param
        self.need(p.num_output > 0, "num_output must be positive, received %d", p.num_output)
        self.flat = clip is not None or len(x) < 3 or p.HasField("batch_size")
        self.need(len(x) >= 2, "the bottom must have at least 2 axes, received %s", x)
        self.inputs = math.prod(x[1:] if self.flat else x[2:])
        self.repeatable = clip is None
        self._last_states: Any = None
        for shape, filler in (
            ((self.inputs,), p.weight_filler),
            ((p.num_output,), p.weight_filler),
            ((), p.bias_filler),
        ):
            self.add_blob((4 * p.num_output, *shape), filler)

    def top_shapes(self, x: Shape, clip: Shape | None = None) -> list[Shape]:
        inputs = math.prod(x[1:] if self.flat else x[2:])
        self.need(inputs == self.inputs, "the weights are for %d inputs, the bottom is %s", self.inputs, x)
        self._sizes(x)
        self.need(
            clip is None or (clip[:1] == x[:1] and math.prod(clip) == x[0]),
            "bottom 1, clip, must have one number for each of the %d items of bottom 0, received %s",
            x[0],
            clip,
        )
        return [(*x[: 1 if self.flat else 2], self.param.lstm_param.num_output)]

    def _sizes(self, x):
        """Return the number of steps and of sequences."""
        if not self.flat:
            return x[:2]
        count = self.param.lstm_param.batch_size
        self.need(
            count > 0 and x[0] % count == 0, "the first axis must be a multiple of batch_size %d, received %s", count, x
        )
        return x[0] // count, count

    def forward(self, x: Tensor, clip: Tensor | None = None) -> Tensor:
        weight, recurrent, bias = (blob.tensor for blob in self.blobs)
        steps, count = self._sizes(x.shape)
        size, threshold = self.param.lstm_param.num_output, self.param.lstm_param.clipping_threshold
        gates = F.linear(x.reshape(steps, count, self.inputs), weight, bias)
        hidden, cell = self._initial(clip, x.new_zeros((count, size)))
        continues = x.new_ones((steps, count, 1)) if clip is None else (clip.detach() != 0).to(x.dtype)
        outputs = []
        for step, cont in zip(gates, continues.reshape(steps, count, 1)):
            total = step + F.linear(hidden * cont, recurrent)
            cell, hidden = Step.apply(cell, _Bounded.apply(total, threshold) if threshold > 0 else total, cont)
            outputs.append(hidden)
        if clip is not None:
            self._last_states = hidden.detach(), cell.detach()
        return torch.stack(outputs).reshape(*x.shape[: 1 if self.flat else 2], size)

    def _initial(self, clip, zeros):
        """Return the hidden and the cell state before the first step."""
        if clip is None or self._last_states is None or self._last_states[0].shape != zeros.shape:
            return zeros, zeros
        return self._last_states

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        """Emit the layer; the initial states are zero with clip too, as a graph has no memory."""
        steps, count = self._sizes(g.shape(bottoms[0]))
        size = self.param.lstm_param.num_output
        shape = g.constant([steps * count, size] if self.flat else [steps, count, size], "shape")
        lstm = _lstm_onnx.Lstm(g, [blob.data for blob in self.blobs], steps, count, self.inputs)
        if g.stick or len(bottoms) > 1:
            g.node("Reshape", [lstm.unrolled(*bottoms), shape], tops)
        else:
            g.node("Reshape", [lstm.sequence(bottoms[0]), shape], tops)


class _Bounded(Function):
    """The identity, whose gradient is limited to -threshold .. threshold."""

    @staticmethod
    def forward(ctx, x, threshold):
        ctx.threshold = threshold
        return x.view_as(x)

    @staticmethod
    def backward(ctx, dtop):
        return dtop.clamp(-ctx.threshold, ctx.threshold), None
