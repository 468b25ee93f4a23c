"""Proposal: regions from the scores and offsets of anchors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers import _boxes
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class Proposal(Layer):
    """Best regions of a region proposal network: rows (0, x1, y1, x2, y2), and their scores as a second top.

    Bottoms: scores (1 x 2 A x H x W; the second half are those of objects), offsets (1 x 4 A x H x W), and im_info
    (height, width, scale). The anchors are squares of base_size, changed by each `ratio` (default 0.5, 1, 2) and
    `scale` (default 8, 16, 32), feat_stride apart. They are moved by the offsets and clipped to the image. Boxes with a
    side below min_size * scale are removed; of the pre_nms_topn best, those that overlap a better one by more than
    nms_thresh are removed; at most post_nms_topn remain. Source: Ren et al. 2015, rpn/proposal_layer.py of
    py-faster-rcnn, and the layer of caffe-windows and mini-caffe.
    """

    num_bottom = 3
    rows_vary = True
    num_top = (1, 2)
    no_gradient = (0, 1, 2)
    differentiable = False
    examples = (
        Example(
            "proposal_param { base_size: 4 feat_stride: 4 min_size: 0 ratio: 0.5 ratio: 1 scale: 1 scale: 2 "
            "post_nms_topn: 6 }",
            [(1, 8, 4, 5), (1, 16, 4, 5), (1, 3)],
            ("unit", "normal", 64),
        ),
    )

    def setup(self, scores: Shape, offsets: Shape, info: Shape) -> None:
        p = self.param.proposal_param
        self.anchors = base_anchors(p.base_size, list(p.ratio) or [0.5, 1, 2], list(p.scale) or [8, 16, 32])
        self.need(
            len(scores) == len(offsets) == 4, "scores and offsets must have 4 axes, received %s and %s", scores, offsets
        )
        self.need(math.prod(info) >= 3, "im_info must have height, width and scale, received %s", info)
        self.need(scores[0] == 1, "the batch size must be 1, received %d", scores[0])
        self.need(
            scores[1] == 2 * len(self.anchors) and offsets[1] == 4 * len(self.anchors) and scores[2:] == offsets[2:],
            "for %d anchors the scores must have %d channels and the offsets %d, received %s and %s",
            len(self.anchors),
            2 * len(self.anchors),
            4 * len(self.anchors),
            scores,
            offsets,
        )

    def top_shapes(self, scores: Shape, offsets: Shape, info: Shape) -> list[Shape]:
        most = min(self.param.proposal_param.post_nms_topn, len(self.anchors) * scores[2] * scores[3])
        return [(most, 5), (most,)][: self.top_count]

    def all_anchors(self, sizes):
        """Return all anchors of a map, (H W A) x 4."""
        rows, columns = (np.arange(n, dtype=np.float32) * self.param.proposal_param.feat_stride for n in sizes)
        shifts = np.stack(np.broadcast_arrays(columns[None, :], rows[:, None]), -1)
        shifts = np.concatenate([shifts, shifts], -1).reshape(-1, 1, 4)
        return (shifts + self.anchors).reshape(-1, 4)

    def forward(self, scores: Tensor, offsets: Tensor, info: Tensor) -> Tensor | tuple[Tensor, ...]:
        p = self.param.proposal_param
        values = scores.detach().cpu().numpy()[0, len(self.anchors) :].transpose(1, 2, 0).ravel()
        moves = offsets.detach().cpu().numpy()[0].transpose(1, 2, 0).reshape(-1, 4)
        height, width, scale = info.detach().cpu().numpy().ravel()[:3]
        found = moved(self.all_anchors(scores.shape[2:]), moves).clip(
            0, np.array([width - 1, height - 1] * 2, np.float32)
        )
        large = ((found[:, 2:] - found[:, :2] + 1) >= p.min_size * scale).all(1)
        found, values = found[large], values[large]
        order = np.argsort(-values, kind="stable")[: p.pre_nms_topn]
        wide = found[order] + np.array([0, 0, 1, 1], np.float32)  # sides are counted in whole pixels
        order = order[_boxes.suppress(wide, p.nms_thresh, p.post_nms_topn)]
        rows = np.concatenate([np.zeros((len(order), 1)), found[order]], axis=1).astype(np.float32)
        tops = [torch.from_numpy(array).to(scores.device) for array in (rows, values[order])]
        return tuple(tops[: self.top_count])

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.dynamic = True
        p, sizes = self.param.proposal_param, g.shape(bottoms[0])[2:]
        count = len(self.anchors) * sizes[0] * sizes[1]
        values = self._by_position(g, bottoms[0], [count], [len(self.anchors), 2 * len(self.anchors)])
        found, large = self._moved_to_onnx(g, self._by_position(g, bottoms[1], [count, 4]), bottoms[2], sizes)
        ranked, order, kept = g.temp("ranked"), g.temp("order"), g.temp("kept")
        g.node("Where", [large, values, g.constant(np.float32(-1e30), "never")], [kept])
        most = g.constant([min(p.pre_nms_topn, count)], "most")
        g.node("TopK", [kept, most], [ranked, order], axis=0)
        best, wide, chosen = g.temp("best"), g.temp("wide"), g.temp("chosen")
        g.node("Gather", [found, order], [best], axis=0)
        g.node("Add", [best, g.constant(np.array([0, 0, 1, 1], np.float32), "pixel")], [wide])
        batch, rows, picks, positions = g.temp("batch"), g.temp("rows"), g.temp("picks"), g.temp("positions")
        g.node("Unsqueeze", [wide], [batch], axes=[0])
        g.node("Unsqueeze", [ranked], [rows], axes=[0, 1])
        limits = [g.constant([p.post_nms_topn], "post"), g.constant(np.array([p.nms_thresh], np.float32), "overlap")]
        g.node("NonMaxSuppression", [batch, rows, *limits, g.constant(np.array([-1e29], np.float32), "least")], [picks])
        g.node("Gather", [picks, g.constant(np.int64(2), "box")], [positions], axis=1)
        g.node("Gather", [best, positions], [chosen], axis=0)
        g.node("Pad", [chosen, g.constant([0, 1, 0, 0], "pads")], [tops[0]])
        if len(tops) > 1:
            g.node("Gather", [ranked, positions], [tops[1]], axis=0)

    @staticmethod
    def _by_position(g, bottom, shape, channels=None):
        source, transposed, rows = bottom, g.temp("transposed"), g.temp("rows")
        if channels:
            source = g.temp("half")
            names = [g.constant([n], f"limit{i}") for i, n in enumerate((*channels, 1))]
            g.node("Slice", [bottom, *names], [source])
        g.node("Transpose", [source], [transposed], perm=[0, 2, 3, 1])
        g.node("Reshape", [transposed, g.constant(shape, "shape")], [rows])
        return rows

    def _moved_to_onnx(self, g, offsets, info, sizes):
        """Emit the boxes (count x 4) and a mask of those that are large enough (count); return their names."""
        anchors = self.all_anchors(sizes)
        side = anchors[:, 2:] - anchors[:, :2] + 1
        center = anchors[:, :2] + np.float32(0.5) * side
        pair = {
            name: g.temp(name)
            for name in ("shift", "growth", "step", "middle", "factor", "size", "half", "low", "high")
        }
        for name, columns in (("shift", [0, 1]), ("growth", [2, 3])):
            g.node("Gather", [offsets, g.constant(columns, "columns")], [pair[name]], axis=1)
        g.node("Mul", [pair["shift"], g.constant(side, "side")], [pair["step"]])
        g.node("Add", [pair["step"], g.constant(center, "center")], [pair["middle"]])
        g.node("Exp", [pair["growth"]], [pair["factor"]])
        g.node("Mul", [pair["factor"], g.constant(side, "side")], [pair["size"]])
        g.node("Mul", [pair["size"], g.constant(np.float32(0.5), "half")], [pair["half"]])
        g.node("Sub", [pair["middle"], pair["half"]], [pair["low"]])
        g.node("Add", [pair["middle"], pair["half"]], [pair["high"]])
        flat, limit, ends, last = g.temp("info"), g.temp("limit"), g.temp("ends"), g.temp("last")
        g.node("Reshape", [info, g.constant([-1], "flat")], [flat])
        g.node("Gather", [flat, g.constant([1, 0, 1, 0], "corners")], [ends], axis=0)
        g.node("Sub", [ends, g.constant(np.float32(1), "one")], [last])
        free, above, found = g.temp("free"), g.temp("above"), g.temp("found")
        g.node("Concat", [pair["low"], pair["high"]], [free], axis=1)
        g.node("Max", [free, g.constant(np.float32(0), "zero")], [above])
        g.node("Min", [above, last], [found])
        scale, sides, short, small, large = (g.temp(n) for n in ("scale", "sides", "short", "small", "large"))
        corners = [g.temp("corner"), g.temp("corner")]
        for name, columns in zip(corners, ([2, 3], [0, 1])):
            g.node("Gather", [found, g.constant(columns, "columns")], [name], axis=1)
        g.node("Sub", corners, [sides])
        g.node("ReduceMin", [sides], [short], axes=[1], keepdims=0)
        g.node("Gather", [flat, g.constant([2], "third")], [scale], axis=0)
        g.node("Mul", [scale, g.constant(np.float32(self.param.proposal_param.min_size), "least")], [limit])
        whole = g.temp("whole")
        g.node("Add", [short, g.constant(np.float32(1), "one")], [whole])
        g.node("Less", [whole, limit], [small])
        g.node("Not", [small], [large])
        return found, large


def base_anchors(base, ratios, scales):
    """Return the anchors at the first position, A x 4: sides rounded for each ratio, then multiplied by each scale."""
    found = []
    for ratio in ratios:
        width = np.round(np.sqrt(base * base / ratio))
        height = np.round(width * ratio)
        for scale in scales:
            half = 0.5 * (np.array([width, height]) * scale - 1)
            middle = 0.5 * (base - 1)
            found.append([*(middle - half), *(middle + half)])
    return np.array(found, np.float32)


def moved(anchors, offsets):
    """Return the anchors moved by (dx, dy, log dw, log dh) in units of their sides."""
    side = anchors[:, 2:] - anchors[:, :2] + 1
    center = anchors[:, :2] + np.float32(0.5) * side + offsets[:, :2] * side
    half = np.float32(0.5) * np.exp(offsets[:, 2:]) * side
    return np.concatenate([center - half, center + half], axis=1)
