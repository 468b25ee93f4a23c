"""DecodeBBox: regions moved by their offsets."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers._box_output import regression
from caffe.layers._emit import one
from caffe.layers.base import TRAIN, Example, Layer, Shape, Tensor, register


@register
class DecodeBBox(Layer):
    """Regions (item, x1, y1, x2, y2; inclusive) moved by the second four of eight offsets (Cascade R-CNN, MS-CNN).

    Bottoms: offsets (n x 8), regions (n x 5), and in TRAIN optionally the matched boxes, whose last column is the
    overlap. Offsets times bbox_std plus bbox_mean move the center in units of the sides and multiply the sides by their
    exponentials. In TRAIN, boxes without area, and those that overlap their box by gt_iou_thr or more, are removed.
    Source: Cai & Vasconcelos 2018.
    """

    num_bottom = (2, 3)
    rows_vary = True
    no_gradient = (0, 1, 2)
    differentiable = False
    examples = (
        Example(
            "bbox_reg_param { bbox_mean: [0, 0, 0, 0] bbox_std: [0.1, 0.1, 0.2, 0.2] }", [(4, 8), (4, 5)], ("normal", 9)
        ),
    )

    def setup(self, offsets: Shape, regions: Shape, *matched: Shape) -> None:
        self.mean, self.std = regression(self)
        self.need(not matched or self.phase == TRAIN, "a third bottom is for TRAIN only")

    def top_shapes(self, offsets: Shape, regions: Shape, *matched: Shape) -> list[Shape]:
        self.need(
            offsets[1] == 8 and regions[1] == 5 and offsets[0] == regions[0],
            "expected n x 8 offsets and n x 5 regions, received %s and %s",
            offsets,
            regions,
        )
        return [regions]

    def forward(self, offsets: Tensor, regions: Tensor, *matched: Tensor) -> Tensor:
        values, rows = offsets.detach().reshape(-1, 8)[:, 4:], regions.detach().reshape(-1, 5)
        mean, std = (torch.from_numpy(a).to(values.device) for a in (self.mean, self.std))
        moves = values * std + mean
        side = rows[:, 3:] - rows[:, 1:3] + 1
        middle = moves[:, :2] * side + (rows[:, 1:3] + rows[:, 3:]) / 2
        half = (side * torch.exp(moves[:, 2:]) - 1) / 2
        found = torch.cat([rows[:, :1], middle - half, middle + half], 1)
        if self.phase == TRAIN:
            good = (found[:, 1:3] <= found[:, 3:]).all(1)
            for boxes in matched:
                good &= boxes.detach().reshape(len(rows), -1)[:, -1] < self.param.decode_bbox_param.gt_iou_thr
            self.need(good.any(), "no region is left")
            found = found[good]
        return found.reshape(-1, *regions.shape[1:])

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        offsets = one(g, "Reshape", [bottoms[0], g.constant([-1, 8], "eight")], "offsets")
        rows = one(g, "Reshape", [bottoms[1], g.constant([-1, 5], "five")], "rows")
        moves = []
        for columns in ([4, 5], [6, 7]):
            part = one(g, "Gather", [offsets, g.constant(columns, "columns")], "part", axis=1)
            pair = slice(columns[0] - 4, columns[1] - 3)
            scaled = one(g, "Mul", [part, g.constant(self.std[pair], "std")], "scaled")
            moves.append(one(g, "Add", [scaled, g.constant(self.mean[pair], "mean")], "moves"))
        item, low, high = (
            one(g, "Gather", [rows, g.constant(columns, "columns")], "corner", axis=1)
            for columns in ([0], [1, 2], [3, 4])
        )
        whole, halved = g.constant(np.float32(1), "one"), g.constant(np.float32(0.5), "half")
        side = one(g, "Add", [one(g, "Sub", [high, low], "length"), whole], "side")
        center = one(g, "Mul", [one(g, "Add", [low, high], "sum"), halved], "center")
        middle = one(g, "Add", [one(g, "Mul", [moves[0], side], "shift"), center], "middle")
        size = one(g, "Mul", [one(g, "Exp", [moves[1]], "growth"), side], "size")
        half = one(g, "Mul", [one(g, "Sub", [size, whole], "less"), halved], "half")
        ends = [one(g, op, [middle, half], "end") for op in ("Sub", "Add")]
        found = one(g, "Concat", [item, *ends], "found", axis=1)
        g.node("Reshape", [found, g.constant([-1, *g.shape(bottoms[1])[1:]], "shape")], tops)
