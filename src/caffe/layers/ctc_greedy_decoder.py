"""CTCGreedyDecoder: the best label at each step, without blanks and repetitions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class CTCGreedyDecoder(Layer):
    """The best class at each step of T x N x C scores, without blanks and repetitions (caffe_ocr).

    The top is N x T x 1 x 1, filled with -1 at the end. blank_index (default 0; negative: the last class) is removed,
    and, with ctc_merge_repeated, each class that equals that of the previous step. A second bottom, T x N, ends a
    sequence at its first 0 after the first step (Graves et al. 2006; OpenVINO's Caffe).
    """

    num_bottom = (1, 2)
    no_gradient = (0, 1)
    differentiable = False
    examples = (
        Example("", [(6, 2, 3)]),
        Example("ctc_decoder_param { blank_index: -1 ctc_merge_repeated: false }", [(6, 2, 3)]),
        Example("", [(6, 2, 3), (6, 2)], ("normal", "binary")),
    )

    def top_shapes(self, bottom: Shape, going: Shape | None = None) -> list[Shape]:
        self.need(
            len(bottom) >= 3 and math.prod(bottom[3:]) == 1, "the bottom must be T x N x C (x 1), received %s", bottom
        )
        self.need(
            going is None or math.prod(going) == bottom[0] * bottom[1],
            "the second bottom must be %d x %d, received %s",
            bottom[0],
            bottom[1],
            going,
        )
        return [(bottom[1], bottom[0], 1, 1)]

    def _blank(self, classes):
        blank = self.param.ctc_decoder_param.blank_index
        return blank if blank >= 0 else classes - 1

    def forward(self, x: Tensor, going: Tensor | None = None) -> Tensor:
        steps, count, classes = x.shape[:3]
        best = x.reshape(steps, count, classes).argmax(2).t()
        kept = best != self._blank(classes)
        if self.param.ctc_decoder_param.ctc_merge_repeated:
            kept[:, 1:] &= best[:, 1:] != best[:, :-1]
        if going is not None:
            inside = going.reshape(steps, count).t() != 0
            inside[:, 0] = True
            kept &= inside.long().cumprod(1).bool()
        position = torch.where(kept, kept.cumsum(1) - 1, steps)
        top = x.new_full((count, steps + 1), -1.0).scatter(1, position, best.to(x.dtype))
        return top[:, :steps].reshape(count, steps, 1, 1).contiguous()

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        steps, count, classes = g.shape(bottoms[0])[:3]
        best, transposed, same, kept = g.temp("best"), g.temp("transposed"), g.temp("same"), g.temp("kept")
        flat = g.temp("flat")
        g.node("Reshape", [bottoms[0], g.constant([steps, count, classes], "shape")], [flat])
        g.node("ArgMax", [flat], [best], axis=2, keepdims=0)
        g.node("Transpose", [best], [transposed], perm=[1, 0])
        blank = g.constant(np.int64(self._blank(classes)), "blank")
        g.node("Equal", [transposed, blank], [same])
        g.node("Not", [same], [kept])
        if self.param.ctc_decoder_param.ctc_merge_repeated and steps > 1:
            kept = self._merged(g, transposed, kept, steps, count)
        if len(bottoms) > 1:
            kept = self._inside(g, bottoms[1], kept, steps, count)
        number, total, position, end = g.temp("number"), g.temp("total"), g.temp("position"), g.temp("end")
        g.node("Cast", [kept], [number], to=1)
        g.node("CumSum", [number, g.constant(np.int64(1), "axis")], [total])
        g.node("Sub", [total, g.constant(np.float32(1), "one")], [position])
        g.node("Where", [kept, position, g.constant(np.float32(steps), "steps")], [end])
        index, values, filled = g.temp("index"), g.temp("values"), g.temp("filled")
        g.node("Cast", [end], [index], to=7)
        g.node("Cast", [transposed], [values], to=1)
        empty = g.constant(np.full((count, steps + 1), -1, np.float32), "empty")
        g.node("ScatterElements", [empty, index, values], [filled], axis=1)
        cut = g.temp("cut")
        g.node("Slice", [filled, *(g.constant([n], f"n{i}") for i, n in enumerate((0, steps, 1)))], [cut])
        g.node("Reshape", [cut, g.constant([count, steps, 1, 1], "shape")], tops)

    @staticmethod
    def _inside(g, going, kept, steps, count):
        """Emit the mask `kept` up to the first 0 of `going` (T x N) after the first step."""
        names = ("flat", "absent", "zero", "rows", "ends", "none", "later", "both")
        flat, absent, zero, rows, ends, none, later, both = (g.temp(name) for name in names)
        g.node("Reshape", [going, g.constant([steps, count], "shape")], [flat])
        g.node("Equal", [flat, g.constant(np.float32(0), "zero")], [absent])
        g.node("Cast", [absent], [zero], to=1)
        g.node("Transpose", [zero], [rows], perm=[1, 0])
        first = np.ones((1, steps), np.float32)
        first[0, 0] = 0
        masked = g.temp("masked")
        g.node("Mul", [rows, g.constant(first, "not_first")], [masked])
        g.node("CumSum", [masked, g.constant(np.int64(1), "axis")], [ends])
        g.node("Greater", [ends, g.constant(np.float32(0.5), "half")], [later])
        g.node("Not", [later], [none])
        g.node("And", [kept, none], [both])
        return both

    @staticmethod
    def _merged(g, best, kept, steps, count):
        """Emit the mask `kept` without the labels that equal the previous one."""
        parts = []
        for start, end in ((0, steps - 1), (1, steps)):
            part = g.temp("part")
            g.node("Slice", [best, *(g.constant([n], f"n{i}") for i, n in enumerate((start, end, 1)))], [part])
            parts.append(part)
        repeated, new, every, both = g.temp("repeated"), g.temp("new"), g.temp("every"), g.temp("both")
        g.node("Equal", parts, [repeated])
        g.node("Not", [repeated], [new])
        g.node("Concat", [g.constant(np.ones((count, 1), bool), "first"), new], [every], axis=1)
        g.node("And", [kept, every], [both])
        return both
