"""BoxOutput: the regions of MS-CNN."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.layers._box_output import BoxOutputLayer
from caffe.layers._emit import one
from caffe.layers.base import Example, Shape, register


@register
class BoxOutput(BoxOutputLayer):
    """Best regions of MS-CNN: rows (item, x1, y1, x2, y2), and a second top with their scores.

    One bottom (N x (classes + 4) x H x W) per field: scores of the classes (the first is the background) and offsets of
    a field of field_w x field_h pixels, downsample_rate apart. The score is the largest of an object minus that of the
    background. The rest is as for BoxGroupOutput, but the ends x2 and y2 do not belong to the box, and a box that
    begins outside the image is moved, not cut. Source: Cai et al. 2016.
    """

    num_bottom = (1, None)
    no_gradient = tuple(range(20))
    examples = (
        Example(
            "box_output_param { fg_thr: -1 iou_thr: 0.5 min_size: 3 max_post_nms_num: 4 max_nms_num: 20 "
            "field_w: 12 field_h: 8 downsample_rate: 4 field_w: 16 field_h: 16 downsample_rate: 8 }",
            [(1, 7, 4, 5), (1, 7, 2, 3)],
            tops=2,
        ),
    )

    def setup(self, *bottoms: Shape) -> None:
        self.configure(self.param.box_output_param)
        counts = {len(values) for values in (self.p.field_w, self.p.field_h, self.p.downsample_rate)}
        self.need(counts == {len(bottoms)}, "expected one field_w, field_h and downsample_rate per bottom")
        for bottom in bottoms:
            self.need(
                len(bottom) == 4 and bottom[1] > 5, "a bottom must be N x (classes + 4) x H x W, received %s", bottom
            )

    def scales(self, bottoms: list[Shape]) -> list[tuple[np.ndarray, int, Shape]]:
        return [
            (np.array([[width, height]]), stride, shape[2:])
            for width, height, stride, shape in zip(self.p.field_w, self.p.field_h, self.p.downsample_rate, bottoms)
        ]

    def parts(self, bottoms: list[np.ndarray], item: int) -> list[tuple[np.ndarray, np.ndarray]]:
        found = []
        for bottom in bottoms:
            rows = bottom[item].reshape(bottom.shape[1], -1).T
            found.append((rows[:, -4:], rows[:, 1:-4].max(1) - rows[:, 0]))
        return found

    def parts_to_onnx(self, g: Any, bottoms: list[str]) -> list[tuple[str, str]]:
        found = []
        for bottom in bottoms:
            channels = g.shape(bottom)[1]
            planes = one(g, "Reshape", [bottom, g.constant([channels, -1], "planes")], "planes")
            groups = ([0], list(range(1, channels - 4)), list(range(channels - 4, channels)))
            first, others, last = (
                one(g, "Gather", [planes, g.constant(group, "channels")], "part", axis=0) for group in groups
            )
            largest = one(g, "ReduceMax", [others], "largest", axes=[0], keepdims=1)
            score = one(g, "Sub", [largest, first], "score")
            flat = one(g, "Reshape", [score, g.constant([-1], "flat")], "flat")
            found.append((one(g, "Transpose", [last], "offsets", perm=[1, 0]), flat))
        return found

    def clipped(self, start: np.ndarray, size: np.ndarray, sides: np.ndarray) -> np.ndarray:
        start = np.maximum(start, 0)
        return np.concatenate([start, np.minimum(start + size, sides)], axis=1)

    def clipped_to_onnx(self, g: Any, start: str, size: str, sides: np.ndarray) -> str:
        low = one(g, "Max", [start, g.constant(np.float32(0), "zero")], "low")
        end = one(g, "Add", [low, size], "end")
        return one(g, "Concat", [low, one(g, "Min", [end, g.constant(sides, "sides")], "high")], "boxes", axis=1)
