"""ONNX forms of the layer Lstm: the operator LSTM, or matrix products for every step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe.layers._emit import one


class Lstm:
    """Emits the nodes of one layer.

    Parameters
    ----------
    g : caffe.convert.onnx_export.Graph
    weights : sequence of array
        W_x, W_h and b, with the gates i, f, o, g.
    steps, count, inputs : int
        The time steps, the sequences and the inputs of a step.
    """

    def __init__(self, g: Any, weights: Sequence[np.ndarray], steps: int, count: int, inputs: int) -> None:
        self.g, self.steps, self.count, self.inputs = g, steps, count, inputs
        self.weights = [np.asarray(array) for array in weights]
        self.size = self.weights[1].shape[1]

    def sequence(self, x: str) -> str:
        """Emit the operator LSTM, and return the name of the hidden states T x 1 x N x num_output."""
        g = self.g
        flat = one(g, "Reshape", [x, g.constant([self.steps, self.count, self.inputs], "shape")], "flat")
        weight, recurrent, bias = map(_in_onnx_order, self.weights)
        bias = np.concatenate([bias, np.zeros_like(bias)], axis=1)
        names = [g.constant(array, name) for array, name in ((weight, "W"), (recurrent, "R"), (bias, "B"))]
        return one(g, "LSTM", [flat, *names], "hidden", hidden_size=self.size)

    def unrolled(self, x: str, clip: str | None = None) -> str:
        """Emit every step with matrix products, and return the name of the hidden states T N x num_output.

        For the stick's compiler, which rejects the sequence, and for sequences that start at a clip of 0.
        """
        g, count = self.g, self.count
        weight, recurrent, bias = self.weights
        flat = one(g, "Reshape", [x, g.constant([self.steps * count, self.inputs], "rows")], "flat")
        product = one(g, "MatMul", [flat, g.constant(np.ascontiguousarray(weight.T), "W")], "product")
        gates = one(g, "Add", [product, g.constant(bias[None], "b")], "gates")
        turned = g.constant(np.ascontiguousarray(recurrent.T), "R")
        conts = None if clip is None else self._continues(clip)
        hidden, cell, outputs = None, None, []
        for step in range(self.steps):
            rows = step * count, (step + 1) * count
            total = _part(g, gates, *rows, axis=0)
            if hidden is not None and cell is not None:
                if conts is not None:
                    cont = _part(g, conts, *rows, axis=0)
                    hidden, cell = (one(g, "Mul", [state, cont], "continued") for state in (hidden, cell))
                total = one(g, "Add", [total, one(g, "MatMul", [hidden, turned], "state")], "sum")
            cell, hidden = self._cell(total, cell)
            outputs.append(hidden)
        return outputs[0] if self.steps == 1 else one(g, "Concat", outputs, "all", axis=0)

    def _continues(self, clip):
        """Emit 1 for the numbers of clip other than 0, as a column."""
        g = self.g
        column = one(g, "Reshape", [clip, g.constant([self.steps * self.count, 1], "column")], "clips")
        starts = one(g, "Equal", [column, g.constant(np.float32(0), "zero")], "starts")
        return one(g, "Cast", [one(g, "Not", [starts], "continues")], "cont", to=1)

    def _cell(self, total, cell):
        """Emit the gates of one step, and return the next cell and hidden state."""
        g, size = self.g, self.size
        i, f, o, new = (_part(g, total, n * size, (n + 1) * size, axis=1) for n in range(4))
        i, f, o = (one(g, "Sigmoid", [gate], "gate") for gate in (i, f, o))
        added = one(g, "Mul", [i, one(g, "Tanh", [new], "new")], "added")
        if cell is not None:
            added = one(g, "Add", [one(g, "Mul", [f, cell], "kept"), added], "cell")
        return added, one(g, "Mul", [o, one(g, "Tanh", [added], "squashed")], "hidden")


def _part(g, source, start, end, axis):
    """Emit the values start .. end of a matrix along `axis`, and return their name."""
    bounds = [g.constant([n], f"n{n}") for n in (start, end, axis)]
    return one(g, "Slice", [source, *bounds], "part")


def _in_onnx_order(array):
    """Return gates i, f, o, g in ONNX's order i, o, f, c, with an axis for the direction."""
    i, f, o, g = np.split(array, 4)
    return np.ascontiguousarray(np.concatenate([i, o, f, g])[None])
