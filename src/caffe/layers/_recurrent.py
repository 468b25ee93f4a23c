"""Base class of LSTM and RNN: bottoms, states that persist between forwards, time steps (recurrent_layer.cpp)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe.core.lazy_torch import F, torch
from caffe.layers.base import Layer, Shape, Tensor


class Recurrent(Layer):
    """Base class of LSTM and RNN.

    Bottoms: x (T x N x ...), cont (T x N, 0 where a sequence starts), an optional static input (N x ...), and with
    expose_hidden the `states` initial states (1 x N x num_output each). Tops: the outputs (T x N x num_output), and
    with expose_hidden the final states. As in Caffe, no gradient flows into or out of exposed states. Without
    expose_hidden, the final states are the initial states of the next forward where cont is not 0.
    """

    num_bottom: int | tuple = (2, 5)
    repeatable = False  # the last states are the next initial ones
    num_top: int | tuple = (1, 3)
    no_gradient = (1,)
    states = 1

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.exposed = self.states if self.param.recurrent_param.expose_hidden else 0
        self.num_bottom = (2 + self.exposed, 3 + self.exposed)
        self.num_top = 1 + self.exposed
        self._last_states = None

    def add_weights(self, inputs: int, static: int | None) -> None:
        """Append the weight blobs in Caffe's order, for `inputs` inputs and `static` static inputs (None: none)."""
        raise NotImplementedError

    def step(self, gates: Any, cont: Any, states: list[Any], weights: list[Any]) -> tuple[Any, list[Any]]:
        """Compute one time step.

        Parameters
        ----------
        gates : Tensor
            The products of inputs and input weights, N x ....
        cont : Tensor
            N x 1, 0 where a sequence starts.
        states : list of Tensor
            N x num_output each.
        weights : list of Tensor
            The recurrent weights.

        Returns
        -------
        Tensor, list of Tensor
            The output and the new states.
        """
        raise NotImplementedError

    def setup(self, *bottoms: Shape) -> None:
        self.need(self.param.recurrent_param.num_output > 0, "num_output must be positive")
        self._check(bottoms)
        self.static = len(bottoms) > 2 + self.exposed
        self.inputs = math.prod(bottoms[0][2:])
        self.static_inputs = math.prod(bottoms[2][1:]) if self.static else None
        self.add_weights(self.inputs, self.static_inputs)

    def _check(self, bottoms):
        x, cont = bottoms[:2]
        self.need(len(x) >= 3, "bottom 0 must be time steps x streams x inputs, received %s", x)
        self.need(
            cont == tuple(x[:2]),
            "bottom 1 must be time steps x streams %s as bottom 0 is, received %s",
            tuple(x[:2]),
            cont,
        )
        if len(bottoms) > 2 + self.exposed:
            self.need(
                len(bottoms[2]) >= 2 and bottoms[2][0] == x[1],
                "bottom 2, the static input, must be streams (%d) x inputs, received %s",
                x[1],
                bottoms[2],
            )
        state = (1, x[1], self.param.recurrent_param.num_output)
        for i in range(len(bottoms) - self.exposed, len(bottoms)):
            self.need(bottoms[i] == state, "bottom %d, a state, must be %s, received %s", i, state, bottoms[i])

    def top_shapes(self, *bottoms: Shape) -> list[Shape]:
        self._check(bottoms)
        received = math.prod(bottoms[0][2:]), math.prod(bottoms[2][1:]) if self.static else None
        self.need(
            received == (self.inputs, self.static_inputs),
            "the weights are for %d inputs (static: %s), received %d (%s)",
            self.inputs,
            self.static_inputs,
            *received,
        )
        steps, streams = bottoms[0][:2]
        size = self.param.recurrent_param.num_output
        return [(steps, streams, size)] + [(1, streams, size)] * self.exposed

    def forward(self, x: Tensor, cont: Tensor, *rest: Tensor) -> Tensor | tuple[Tensor, ...]:
        weights = [blob.tensor for blob in self.blobs]
        gates = F.linear(x.flatten(2), weights[0], weights[1])
        if self.static:
            gates = gates + F.linear(rest[0].flatten(1), weights[2])
        states = self._initial(rest, x)
        outputs = []
        for step_gates, step_cont in zip(gates, cont.detach()[..., None]):
            output, states = self.step(step_gates, step_cont, states, weights[3 if self.static else 2 :])
            outputs.append(output)
        if not self.exposed:
            self._last_states = [s.detach() for s in states]
        tops = (
            torch.stack(outputs),
            *(s[None].detach() for s in self.in_caffe_order(states)[: self.exposed]),
        )
        return tops if len(tops) > 1 else tops[0]

    def allow_force_backward(self, bottom: int) -> bool:
        return bottom < len(self.param.bottom) - self.exposed and super().allow_force_backward(bottom)

    def _initial(self, rest, x):
        shape = (x.shape[1], self.param.recurrent_param.num_output)
        if self.exposed:
            return self.in_caffe_order([s[0].detach() for s in rest[-self.exposed :]])
        if self._last_states is None or self._last_states[0].shape != shape:
            self._last_states = [x.new_zeros(shape) for _ in range(self.states)]
        return self._last_states

    @staticmethod
    def in_caffe_order(states: list[Any]) -> list[Any]:
        """Convert (c, h) to (h, c) and back, since Caffe orders the hidden state first."""
        return list(reversed(states))

    # -- ONNX ---------------------------------------------------------------------------------------

    def step_to_onnx(
        self, g: Any, gates: str, cont: str, states: list[str], weights: list[str]
    ) -> tuple[str, list[str]]:
        """Emit the nodes of `step`; returns the names of the output and the new states."""
        raise NotImplementedError

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        """Emit the layer unrolled in time; without expose_hidden the initial states are 0, as a graph has no memory."""
        steps, streams = g.shape(bottoms[0])[:2]
        size = self.param.recurrent_param.num_output
        weights = [g.constant(blob.data, f"blob{i}") for i, blob in enumerate(self.blobs)]
        rows = _reshaped(g, bottoms[0], [steps * streams, self.inputs])
        inputs = _split(g, product_to_onnx(g, rows, weights[0], weights[1]), steps, streams)
        if self.static:
            static = product_to_onnx(g, _reshaped(g, bottoms[2], [streams, self.static_inputs]), weights[2])
            inputs = [_binary(g, "Add", step, static) for step in inputs]
        conts = _split(g, _reshaped(g, bottoms[1], [steps * streams, 1]), steps, streams)
        states = self._states_to_onnx(g, bottoms, streams, size)
        outputs = []
        for gates, cont in zip(inputs, conts):
            output, states = self.step_to_onnx(g, gates, cont, states, weights[3 if self.static else 2 :])
            outputs.append(output)
        joined = g.temp("joined")
        g.node("Concat", outputs, [joined], axis=0)
        g.node("Reshape", [joined, g.constant([steps, streams, size], "shape")], tops[:1])
        for state, top in zip(self.in_caffe_order(states), tops[1:]):
            g.node("Reshape", [state, g.constant([1, streams, size], "shape")], [top])

    def _states_to_onnx(self, g, bottoms, streams, size):
        if not self.exposed:
            return [g.constant(np.zeros((streams, size), np.float32), "state")] * self.states
        return self.in_caffe_order([_reshaped(g, b, [streams, size]) for b in bottoms[-self.exposed :]])


def hidden_to_onnx(g: Any, gates: str, cont: str, hidden: str, weight: str) -> str:
    """Emit gates + (cont * hidden) weight^T, the first part of a step."""
    return _binary(g, "Add", gates, product_to_onnx(g, _binary(g, "Mul", hidden, cont), weight))


def _binary(g, op, a, b):
    out = g.temp(op.lower())
    g.node(op, [a, b], [out])
    return out


def product_to_onnx(g: Any, rows: str, weight: str, *bias: str) -> str:
    """Emit rows weight^T + bias."""
    if g.shape(weight) == (1, 1):  # OpenVINO 2026.4 fails on chains of 1 x 1 matrix products
        return _binary(g, "Add", _binary(g, "Mul", rows, weight), *bias) if bias else _binary(g, "Mul", rows, weight)
    out = g.temp("product")
    g.node("Gemm", [rows, weight, *bias], [out], transB=1)
    return out


def _reshaped(g, name, shape):
    out = g.temp("rows")
    g.node("Reshape", [name, g.constant(shape, "shape")], [out])
    return out


def _split(g, name, steps, rows):
    out = [g.temp("step") for _ in range(steps)]
    g.node("Split", [name], out, axis=0, split=[rows] * steps)
    return out
