"""TextProposal: the narrow regions of CTPN."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers._emit import one
from caffe.layers.base import Example, Layer, Shape, Tensor, register

HEIGHTS = (11, 16, 23, 33, 48, 68, 97, 139, 198, 283)
WIDTH = 16


@register
class TextProposal(Layer):
    """All anchors of CTPN, moved: rows (x1, y1, x2, y2) and, as a second top, their scores (n x 1).

    It replaces the Python layer layers.text_proposal_layer.ProposalLayer. Bottoms: scores (1 x 20 x H x W; the second
    ten are those of text), offsets (1 x 20 x H x W: shift and log of the height of each anchor, in units of its
    height), and im_info (height, width, scale). The anchors are 16 pixels wide and 11 to 283 high, feat_stride (of
    proposal_param) apart; rows are in the order row, column, anchor. Boxes are clipped to the image; the application
    selects and joins them (Tian et al. 2016).
    """

    num_bottom = 3
    num_top = (1, 2)
    no_gradient = (0, 1, 2)
    differentiable = False
    examples = (
        Example(
            "proposal_param { feat_stride: 16 }",
            [(1, 20, 2, 3), (1, 20, 2, 3), (1, 3)],
            ("unit", "normal", 64),
            tops=2,
        ),
    )

    def top_shapes(self, scores: Shape, offsets: Shape, info: Shape) -> list[Shape]:
        channels = 2 * len(HEIGHTS)
        self.need(
            scores == offsets == (1, channels, *scores[2:]),
            "scores and offsets must be 1 x %d x H x W, received %s and %s",
            channels,
            scores,
            offsets,
        )
        self.need(math.prod(info) >= 2, "im_info must hold at least height and width, received %s", info)
        count = len(HEIGHTS) * scores[2] * scores[3]
        shapes: list[Shape] = [(count, 4), (count, 1)]
        return shapes[: self.top_count]

    def anchors(self, sizes: Shape) -> np.ndarray:
        """Return all anchors (n, 4) of a map."""
        stride = self.param.proposal_param.feat_stride
        middle = (WIDTH - 1) / 2
        base = [[middle - WIDTH // 2, middle - h // 2, middle + WIDTH // 2, middle + h // 2] for h in HEIGHTS]
        rows, columns = np.mgrid[: sizes[0], : sizes[1]]
        shifts = np.stack([columns, rows, columns, rows], -1).reshape(-1, 1, 4) * stride
        return (shifts + np.trunc(base)).reshape(-1, 4).astype(np.float32)

    def forward(self, scores: Tensor, offsets: Tensor, info: Tensor) -> tuple[Tensor, ...]:
        anchors = torch.from_numpy(self.anchors(tuple(scores.shape[2:]))).to(scores.device)
        moves = offsets.detach()[0].permute(1, 2, 0).reshape(-1, 2)
        side = anchors[:, 3] - anchors[:, 1] + 1
        heights = torch.exp(moves[:, 1]) * side
        top = moves[:, 0] * side + (anchors[:, 1] + anchors[:, 3]) / 2 - heights / 2
        boxes = torch.stack([anchors[:, 0], top, anchors[:, 2], top + heights], 1)
        height, width = info.detach().reshape(-1)[:2]
        limit = torch.stack([width, height, width, height]) - 1
        boxes = torch.minimum(boxes.clamp(min=0), limit)
        values = scores.detach()[0, len(HEIGHTS) :].permute(1, 2, 0).reshape(-1, 1)
        return (boxes, values)[: self.top_count]

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        anchors = self.anchors(g.shape(bottoms[0])[2:])
        side = (anchors[:, 3] - anchors[:, 1] + 1)[:, None]
        middle = ((anchors[:, 1] + anchors[:, 3]) / 2)[:, None]
        moves = self._rows(g, bottoms[1], 2)
        shift, growth = (one(g, "Gather", [moves, g.constant([n], "n")], "move", axis=1) for n in (0, 1))
        height = one(g, "Mul", [one(g, "Exp", [growth], "exp"), g.constant(side, "side")], "height")
        half = one(g, "Mul", [height, g.constant(np.float32(0.5), "half")], "half_height")
        center = one(g, "Mul", [shift, g.constant(side, "side")], "shift")
        center = one(g, "Add", [center, g.constant(middle.astype(np.float32), "middle")], "center")
        top = one(g, "Sub", [center, half], "top")
        ends = [g.constant(anchors[:, :1], "left"), top, g.constant(anchors[:, 2:3], "right")]
        boxes = one(g, "Concat", [*ends, one(g, "Add", [top, height], "bottom")], "boxes", axis=1)
        flat = one(g, "Reshape", [bottoms[2], g.constant([-1], "flat")], "info")
        sides = one(g, "Gather", [flat, g.constant([1, 0, 1, 0], "order")], "sides", axis=0)
        limit = one(g, "Sub", [sides, g.constant(np.float32(1), "one")], "limit")
        low = one(g, "Max", [boxes, g.constant(np.float32(0), "zero")], "low")
        g.node("Min", [low, limit], tops[:1])
        if len(tops) > 1:
            ends = [g.constant([n], f"n{i}") for i, n in enumerate((len(HEIGHTS), 2 * len(HEIGHTS), 1))]
            text = one(g, "Slice", [bottoms[0], *ends], "text")
            g.node("Identity", [self._rows(g, text, 1)], tops[1:])

    @staticmethod
    def _rows(g, bottom, width):
        """Emit the values of each anchor as a row."""
        moved = one(g, "Transpose", [bottom], "transposed", perm=[0, 2, 3, 1])
        return one(g, "Reshape", [moved, g.constant([-1, width], "shape")], "rows")
