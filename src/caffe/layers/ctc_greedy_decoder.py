"""CTCGreedyDecoder: the best label at each step, without blanks and repetitions."""

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, register


@register
class CTCGreedyDecoder(Layer):
    """Of T x N x C scores the best class at each step, blank_index (default 0, negative: the last class) left out and, with
    ctc_merge_repeated, what equals the step before; N x T x 1 x 1, filled up with -1 (Graves et al. 2006; caffe_ocr).
    """

    no_gradient = (0,)
    differentiable = False
    examples = (
        Example("", [(6, 2, 3)]),
        Example("ctc_decoder_param { blank_index: -1 ctc_merge_repeated: false }", [(6, 2, 3)]),
    )

    def top_shapes(self, bottom):
        self.need(len(bottom) >= 3, "the bottom must be T x N x C, received %s", bottom)
        return [(bottom[1], bottom[0], 1, 1)]

    def _blank(self, classes):
        blank = self.param.ctc_decoder_param.blank_index
        return blank if blank >= 0 else classes - 1

    def forward(self, x):
        steps, count, classes = x.shape[:3]
        best = x.reshape(steps, count, classes).argmax(2).t()
        kept = best != self._blank(classes)
        if self.param.ctc_decoder_param.ctc_merge_repeated:
            kept[:, 1:] &= best[:, 1:] != best[:, :-1]
        place = torch.where(kept, kept.cumsum(1) - 1, steps)
        top = x.new_full((count, steps + 1), -1.0).scatter(1, place, best.to(x.dtype))
        return top[:, :steps].reshape(count, steps, 1, 1).contiguous()

    def to_onnx(self, g, bottoms, tops):
        steps, count, classes = g.shape(bottoms[0])[:3]
        best, turned, same, kept = g.temp("best"), g.temp("turned"), g.temp("same"), g.temp("kept")
        flat = g.temp("flat")
        g.node("Reshape", [bottoms[0], g.constant([steps, count, classes], "shape")], [flat])
        g.node("ArgMax", [flat], [best], axis=2, keepdims=0)
        g.node("Transpose", [best], [turned], perm=[1, 0])
        blank = g.constant(np.int64(self._blank(classes)), "blank")
        g.node("Equal", [turned, blank], [same])
        g.node("Not", [same], [kept])
        if self.param.ctc_decoder_param.ctc_merge_repeated and steps > 1:
            kept = self._merged(g, turned, kept, steps, count)
        number, total, place, end = g.temp("number"), g.temp("total"), g.temp("place"), g.temp("end")
        g.node("Cast", [kept], [number], to=1)
        g.node("CumSum", [number, g.constant(np.int64(1), "axis")], [total])
        g.node("Sub", [total, g.constant(np.float32(1), "one")], [place])
        g.node("Where", [kept, place, g.constant(np.float32(steps), "steps")], [end])
        index, values, filled = g.temp("index"), g.temp("values"), g.temp("filled")
        g.node("Cast", [end], [index], to=7)
        g.node("Cast", [turned], [values], to=1)
        empty = g.constant(np.full((count, steps + 1), -1, np.float32), "empty")
        g.node("ScatterElements", [empty, index, values], [filled], axis=1)
        cut = g.temp("cut")
        g.node("Slice", [filled, *(g.constant([n], "n%d" % i) for i, n in enumerate((0, steps, 1)))], [cut])
        g.node("Reshape", [cut, g.constant([count, steps, 1, 1], "shape")], tops)

    @staticmethod
    def _merged(g, best, kept, steps, count):
        """What is kept, without what equals the step before."""
        parts = []
        for start, end in ((0, steps - 1), (1, steps)):
            part = g.temp("part")
            g.node("Slice", [best, *(g.constant([n], "n%d" % i) for i, n in enumerate((start, end, 1)))], [part])
            parts.append(part)
        repeated, new, every, both = g.temp("repeated"), g.temp("new"), g.temp("every"), g.temp("both")
        g.node("Equal", parts, [repeated])
        g.node("Not", [repeated], [new])
        g.node("Concat", [g.constant(np.ones((count, 1), bool), "first"), new], [every], axis=1)
        g.node("And", [kept, every], [both])
        return both
