"""Shared code of BoxOutput (MS-CNN) and BoxGroupOutput (Cascade R-CNN): regions from the maps of several scales."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers import _boxes
from caffe.layers._emit import one
from caffe.layers.base import Layer, Shape, Tensor

NOTHING = np.array([0, 1, 1, 10, 10], np.float32)  # the row if there is no region


def regression(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation (4 each) of bbox_reg_param, by default 0 and 1."""
    p = layer.param.bbox_reg_param
    mean, std = (np.array(values, np.float32) for values in (p.bbox_mean, p.bbox_std))
    if not len(mean) or not len(std):
        return np.zeros(4, np.float32), np.ones(4, np.float32)
    layer.need(len(mean) == len(std) == 4 and (std > 0).all(), "bbox_reg_param needs 4 means and 4 positive deviations")
    return mean, std


class BoxOutputLayer(Layer):
    """Base of the two types; a subclass defines how a scale's boxes and scores are stored, and how boxes are clipped.

    Boxes are (x1, y1, x2, y2) with ends that do not belong to them; `last` is what is subtracted for the top.
    """

    rows_vary = True
    num_top = (1, 2)
    differentiable = False
    last = 0

    def scales(self, bottoms: list[Shape]) -> list[tuple[np.ndarray, int, Shape]]:
        """Return (widths and heights of the fields (k, 2), stride, sides of the map) of each scale."""
        raise NotImplementedError

    def parts(self, bottoms: list[np.ndarray], item: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return (offsets (n, 4), scores (n)) of each scale for an item."""
        raise NotImplementedError

    def parts_to_onnx(self, g: Any, bottoms: list[str]) -> list[tuple[str, str]]:
        """Emit `parts` of the only item and return the names."""
        raise NotImplementedError

    def clipped(self, start: np.ndarray, size: np.ndarray, sides: np.ndarray) -> np.ndarray:
        """Return the boxes for their upper left corners and sizes, inside an image of these sides."""
        raise NotImplementedError

    def clipped_to_onnx(self, g: Any, start: str, size: str, sides: np.ndarray) -> str:
        """Emit `clipped` and return the name."""
        raise NotImplementedError

    def configure(self, param: Any) -> None:
        """Read the fields that the parameters of both types have."""
        self.p = param
        self.mean, self.std = regression(self)
        self.need(param.nms_type == "IOU", "nms_type must be IOU, received %s", param.nms_type)
        self.need(param.field_xyr > 0 and param.field_whr > 0, "field_xyr and field_whr must be positive")
        self.limit = np.array([1 / param.field_xyr] * 2 + [np.log(param.field_whr)] * 2, np.float32)

    def top_shapes(self, *bottoms: Shape) -> list[Shape]:
        shapes: list[Shape] = [(1, 5, 1, 1), (1, 6, 1, 1)]
        return shapes[: self.top_count]

    def forward(self, *bottoms: Tensor) -> Tensor | tuple[Tensor, ...]:
        arrays = [bottom.detach().cpu().numpy() for bottom in bottoms]
        found = [self._item(arrays, item) for item in range(self.items([a.shape for a in arrays]))]
        rows = np.concatenate(found)
        regions = rows[:, :5] if len(rows) else NOTHING[None]
        scored = rows if len(rows) else np.zeros((1, 6), np.float32)
        tops = [
            torch.from_numpy(np.ascontiguousarray(a))[..., None, None].to(bottoms[0].device) for a in (regions, scored)
        ]
        return tuple(tops[: self.top_count])

    def items(self, bottoms: list[Shape]) -> int:
        """Return the number of images in the batch."""
        return bottoms[0][0]

    def _item(self, arrays, item):
        """Return the rows (item, x1, y1, x2, y2, score) of an item."""
        parts, values = [], []
        for (offsets, score), scale in zip(self.parts(arrays, item), self.scales([a.shape for a in arrays])):
            centers, fields, sides = _places(*scale)
            moved = np.clip(offsets * self.std + self.mean, -self.limit, self.limit)
            size = fields * np.exp(moved[:, 2:])
            parts.append(self.clipped(moved[:, :2] * fields + centers - size / 2, size, sides))
            values.append(score)
        boxes, scores = np.concatenate(parts), np.concatenate(values)
        good = (scores >= np.float32(self.p.fg_thr)) & ((boxes[:, 2:] - boxes[:, :2]) >= self.p.min_size).all(1)
        boxes, scores = boxes[good], scores[good]
        order = np.argsort(-scores, kind="stable")[: self.p.max_nms_num or None]
        order = order[_boxes.suppress(boxes[order], self.p.iou_thr, self.p.max_post_nms_num or None)]
        ends = boxes[order] - np.array([0, 0, self.last, self.last], np.float32)
        return np.concatenate([np.full((len(order), 1), item), ends, scores[order, None]], axis=1).astype(np.float32)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.dynamic = True
        shapes = [g.shape(bottom) for bottom in bottoms]
        self.need(
            self.items(shapes) == 1, "the batch size must be 1 for export to ONNX, received %d", self.items(shapes)
        )
        parts = self.parts_to_onnx(g, bottoms)
        boxes = [self._boxes_to_onnx(g, offsets, scale) for (offsets, _), scale in zip(parts, self.scales(shapes))]
        scores = [score for _, score in parts]
        count = sum(len(fields) * sides[0] * sides[1] for fields, _, sides in self.scales(shapes))
        joined = [names[0] if len(names) == 1 else one(g, "Concat", names, "all", axis=0) for names in (boxes, scores)]
        _select_to_onnx(g, self.p, joined[0], joined[1], count, self.last, tops)

    def _boxes_to_onnx(self, g, offsets, scale):
        centers, fields, sides = _places(*scale)
        constants = {"std": self.std, "mean": self.mean, "least": -self.limit, "most": self.limit}
        name = offsets
        for op, constant in (("Mul", "std"), ("Add", "mean"), ("Max", "least"), ("Min", "most")):
            name = one(g, op, [name, g.constant(constants[constant], constant)], "moved")
        pairs = [one(g, "Gather", [name, g.constant(c, "columns")], "pair", axis=1) for c in ([0, 1], [2, 3])]
        spread = g.constant(fields, "fields")
        size = one(g, "Mul", [one(g, "Exp", [pairs[1]], "growth"), spread], "size")
        middle = one(g, "Add", [one(g, "Mul", [pairs[0], spread], "shift"), g.constant(centers, "centers")], "middle")
        half = one(g, "Mul", [size, g.constant(np.float32(0.5), "half")], "half")
        return self.clipped_to_onnx(g, one(g, "Sub", [middle, half], "start"), size, sides)


def _places(fields, stride, sides):
    """Return centers (n, 2), fields (n, 2) and image sides (2: width, height), in the order field, row, column."""
    height, width = sides
    grid = np.stack(np.broadcast_arrays(np.arange(width)[None, :], np.arange(height)[:, None]), -1).reshape(-1, 2)
    centers = (np.tile(grid, (len(fields), 1)) + np.float32(0.5)) * np.float32(stride)
    spread = np.repeat(fields.astype(np.float32), height * width, axis=0)
    return centers.astype(np.float32), spread, np.array([width * stride, height * stride], np.float32)


def _select_to_onnx(g, p, boxes, scores, count, last, tops):
    """Emit the choice of the best boxes (count x 4) by their scores (count), and the tops."""
    low, high = (one(g, "Gather", [boxes, g.constant(c, "columns")], "corner", axis=1) for c in ([0, 1], [2, 3]))
    short = one(g, "ReduceMin", [one(g, "Sub", [high, low], "sides")], "short", axes=[1], keepdims=0)
    limits = [g.constant(np.float32(value), f"limit{i}") for i, value in enumerate((p.min_size, p.fg_thr))]
    small = [one(g, "Less", [name, limit], "small") for name, limit in zip((short, scores), limits)]
    bad = one(g, "Or", small, "bad")
    kept = one(g, "Where", [bad, g.constant(np.float32(-1e30), "never"), scores], "kept")
    ranked, order = g.temp("ranked"), g.temp("order")
    g.node("TopK", [kept, g.constant([min(p.max_nms_num or count, count)], "most")], [ranked, order], axis=0)
    best = one(g, "Gather", [boxes, order], "best", axis=0)
    settings = [
        g.constant([p.max_post_nms_num or count], "post"),
        g.constant(np.array([p.iou_thr], np.float32), "overlap"),
        g.constant(np.array([-1e29], np.float32), "least"),
    ]
    batch = [one(g, "Unsqueeze", [best], "batch", axes=[0]), one(g, "Unsqueeze", [ranked], "rows", axes=[0, 1])]
    picks = one(g, "NonMaxSuppression", [*batch, *settings], "picks")
    where = one(g, "Gather", [picks, g.constant(np.int64(2), "box")], "where", axis=1)
    ends = one(g, "Gather", [best, where], "chosen", axis=0)
    ends = one(g, "Sub", [ends, g.constant(np.array([0, 0, last, last], np.float32), "last")], "ends")
    regions = one(g, "Pad", [ends, g.constant([0, 1, 0, 0], "pads")], "regions")
    g.node("Reshape", [_or_row(g, regions, NOTHING), g.constant([-1, 5, 1, 1], "shape")], tops[:1])
    if len(tops) > 1:
        score = one(g, "Unsqueeze", [one(g, "Gather", [ranked, where], "score", axis=0)], "column", axes=[1])
        scored = one(g, "Concat", [regions, score], "scored", axis=1)
        g.node("Reshape", [_or_row(g, scored, np.zeros(6, np.float32)), g.constant([-1, 6, 1, 1], "six")], tops[1:])


def _or_row(g, rows, nothing):
    """Emit the rows, or `nothing` if there are none."""
    size = len(nothing)
    both = one(g, "Concat", [rows, g.constant(nothing[None], f"nothing{size}")], "both", axis=0)
    count = one(g, "Gather", [one(g, "Shape", [rows], "shape"), g.constant([0], "first")], "count", axis=0)
    number = one(g, "Cast", [count], "number", to=1)
    length = one(g, "Max", [number, g.constant(np.array([1], np.float32), "one")], "length")
    end = one(g, "Cast", [length], "end", to=7)
    return one(g, "Slice", [both, g.constant([0], "start"), end, g.constant([0], "axis")], "rows")
