"""BoxGroupOutput: the regions of Cascade R-CNN."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.layers._box_output import BoxOutputLayer
from caffe.layers._emit import one
from caffe.layers.base import Example, Shape, register


@register
class BoxGroupOutput(BoxOutputLayer):
    """Best regions of Cascade R-CNN: rows (item, x1, y1, x2, y2), and a second top with their scores.

    Bottoms, for each box_group_param: probabilities (N k x classes x H x W; the first class is the background) and
    offsets (N k x 4 x H x W) of its k fields (field_w x field_h pixels, `stride` apart). The score of a field is 1 -
    background. Offsets times bbox_std plus bbox_mean are limited to 1 / field_xyr and log(field_whr), move the field
    in units of its sides, and the box is clipped to the image. Boxes with a score below fg_thr or a side below min_size
    are removed; of the max_nms_num best, those that overlap a better one by more than iou_thr are removed; at most
    max_post_nms_num remain (0: all). Without a box, the row is (0, 1, 1, 10, 10). Source: Cai & Vasconcelos 2018.
    """

    num_bottom = (2, None)
    last = 1
    no_gradient = tuple(range(20))
    examples = (
        Example(
            "box_group_output_param { fg_thr: 0.1 iou_thr: 0.5 min_size: 3 max_post_nms_num: 4 max_nms_num: 20 "
            "box_group_param { field_w: 8 field_w: 12 field_h: 12 field_h: 8 stride: 4 } "
            "box_group_param { field_w: 16 field_h: 16 stride: 8 } } "
            "bbox_reg_param { bbox_mean: [0, 0, 0, 0] bbox_std: [0.1, 0.1, 0.2, 0.2] }",
            [(2, 2, 4, 5), (2, 4, 4, 5), (1, 2, 2, 3), (1, 4, 2, 3)],
            ("unit", "normal", "unit", "normal"),
            tops=2,
        ),
    )

    def setup(self, *bottoms: Shape) -> None:
        self.configure(self.param.box_group_output_param)
        self.need(
            len(bottoms) == 2 * len(self.p.box_group_param),
            "expected two bottoms per box_group_param (%d), received %d",
            2 * len(self.p.box_group_param),
            len(bottoms),
        )
        for group, scores, offsets in zip(self.p.box_group_param, bottoms[::2], bottoms[1::2]):
            count = len(group.field_w)
            self.need(count == len(group.field_h) > 0, "field_w and field_h must have the same number of values")
            self.need(
                offsets == (scores[0], 4, *scores[2:]) and scores[0] == count * self.items(list(bottoms)),
                "probabilities %s and offsets %s do not fit %d fields",
                scores,
                offsets,
                count,
            )

    def items(self, bottoms: list[Shape]) -> int:
        return bottoms[0][0] // len(self.p.box_group_param[0].field_w)

    def scales(self, bottoms: list[Shape]) -> list[tuple[np.ndarray, int, Shape]]:
        return [
            (np.stack([group.field_w, group.field_h], 1), group.stride, shape[2:])
            for group, shape in zip(self.p.box_group_param, bottoms[::2])
        ]

    def parts(self, bottoms: list[np.ndarray], item: int) -> list[tuple[np.ndarray, np.ndarray]]:
        found = []
        for group, scores, offsets in zip(self.p.box_group_param, bottoms[::2], bottoms[1::2]):
            own = slice(item * len(group.field_w), (item + 1) * len(group.field_w))
            found.append((offsets[own].transpose(0, 2, 3, 1).reshape(-1, 4), 1 - scores[own, 0].ravel()))
        return found

    def parts_to_onnx(self, g: Any, bottoms: list[str]) -> list[tuple[str, str]]:
        found = []
        for scores, offsets in zip(bottoms[::2], bottoms[1::2]):
            rows = one(g, "Transpose", [offsets], "transposed", perm=[0, 2, 3, 1])
            first = one(g, "Gather", [scores, g.constant([0], "background")], "first", axis=1)
            flat = one(g, "Reshape", [first, g.constant([-1], "flat")], "flat")
            score = one(g, "Sub", [g.constant(np.float32(1), "one"), flat], "score")
            found.append((one(g, "Reshape", [rows, g.constant([-1, 4], "rows")], "offsets"), score))
        return found

    def clipped(self, start: np.ndarray, size: np.ndarray, sides: np.ndarray) -> np.ndarray:
        return np.concatenate([np.maximum(start, 0), np.minimum(start + size, sides + 1)], axis=1)

    def clipped_to_onnx(self, g: Any, start: str, size: str, sides: np.ndarray) -> str:
        low = one(g, "Max", [start, g.constant(np.float32(0), "zero")], "low")
        end = one(g, "Add", [start, size], "end")
        return one(g, "Concat", [low, one(g, "Min", [end, g.constant(sides + 1, "sides")], "high")], "boxes", axis=1)
