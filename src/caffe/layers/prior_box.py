"""PriorBox: SSD's default boxes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Example, Layer, Shape, Tensor, register


@register
class PriorBox(Layer):
    """Default boxes of SSD at each position of the first bottom, and their variances: 1 x 2 x 4 n.

    The boxes are (xmin, ymin, xmax, ymax) as fractions of the image, whose size is that of the second bottom (or
    img_size, img_h, img_w). At each position, there are for each min_size (truncated to an integer): a square of that
    size; with max_size, a square of sqrt(min_size * max_size); and one box for each other aspect_ratio and, with
    `flip`, its inverse. Centers are (position + offset) * step; step is by default the ratio of the sizes of image and
    bottom (Liu et al. 2016).

    faceboxes (FaceBoxes): sides are one pixel shorter, and there are 4 x 4 boxes of 32 pixels, 8 apart, and 2 x 2 of 64
    pixels, 16 apart, from half the group's width before the center. textboxes (TextBoxes): every box is followed by one
    half a step below. Both are set when a net is read, if the number of predicted offsets says so. denser_prior_boxes
    (TextBoxes++): every box is followed by one whose center is at the lower end of the position.

    fixed_size with density (dense anchors of a later FaceBoxes): before the other boxes, density x density of each size
    (and of each fixed_ratio, or of 1 and each aspect_ratio), a size / density (truncated) apart, clipped to the image.

    Synopsys: box_width and box_height list the boxes instead; tf has the square of max_size last, and is smaller by a
    tenth of the image for a min_size of 60; keras has it first, and the inverse ratios after the others; yx_order
    exchanges x and y.
    """

    num_bottom = (1, 2)
    no_gradient = (0, 1)
    differentiable = False
    examples: tuple = (
        Example(
            "prior_box_param { min_size: 8 max_size: 15 aspect_ratio: 2 variance: 0.1 variance: 0.1 variance: 0.2 "
            "variance: 0.2 clip: true }",
            [(1, 3, 3, 2), (1, 3, 32, 24)],
        ),
        Example(
            "prior_box_param { min_size: 32 min_size: 64 faceboxes: true step: 32 }", [(1, 3, 2, 2), (1, 3, 64, 64)]
        ),
        Example("prior_box_param { min_size: 8 textboxes: true }", [(1, 3, 2, 2), (1, 3, 32, 32)]),
        Example(
            "prior_box_param { min_size: 8 max_size: 12 aspect_ratio: 5 offset: 0.25 denser_prior_boxes: true }",
            [(1, 3, 2, 3), (1, 3, 32, 32)],
        ),
        Example(
            "prior_box_param { min_size: 8 min_size: 12 aspect_ratio: 3 flip: false step: 10 }", [(1, 3, 2, 2)] * 2
        ),
        Example(
            "prior_box_param { fixed_size: 9 fixed_size: 32 density: 2 density: 1 aspect_ratio: 2 }",
            [(1, 3, 2, 3), (1, 3, 32, 32)],
        ),
    )

    def setup(self, bottom: Shape, image: Shape | None = None) -> None:
        p = self.param.prior_box_param
        self.need(len(p.box_width) == len(p.box_height), "expected as many box_width as box_height")
        self.need(
            p.box_width or p.fixed_size or (p.min_size and min(p.min_size) > 0),
            "min_size is required and must be positive",
        )
        self.need(
            len(p.density) == len(p.fixed_size)
            and all(n > 0 for n in p.fixed_size)
            and all(int(n) > 0 for n in p.density),
            "expected a positive density for each positive fixed_size",
        )
        self.need(len(p.max_size) in (0, len(p.min_size)), "expected one max_size per min_size, or none")
        self.need(all(b > a for a, b in zip(p.min_size, p.max_size)), "max_size must be larger than min_size")
        self.need(len(p.variance) in (0, 1, 4), "expected 1 or 4 variances, received %d", len(p.variance))
        self.need(
            image is not None or p.img_size or p.img_h,
            "without a second bottom, img_size, or img_h and img_w, is required",
        )
        self.ratios = _ratios(p)

    def _sizes(self):
        """Return (width, height) of the boxes at each position."""
        p = self.param.prior_box_param
        if p.box_width:
            return np.array([p.box_width, p.box_height], np.float32).T
        sizes: list[tuple[float, float]] = []
        for number, least in enumerate(map(int, p.min_size)):
            own = [(least, least)] + [(least * math.sqrt(ratio), least / math.sqrt(ratio)) for ratio in self.ratios]
            if p.max_size:
                place = 0 if p.keras else len(own) if p.tf else 1
                own.insert(place, (math.sqrt(least * int(p.max_size[number])),) * 2)
            sizes += own
        return np.array(sizes, np.float32).reshape(-1, 2)

    def _dense_boxes(self):
        """Return (x, y) of the centers and (width, height) of the boxes of fixed_size."""
        p = self.param.prior_box_param
        shifts, sizes = [np.zeros((0, 2))], [np.zeros((0, 2))]
        for size, count in zip(map(int, p.fixed_size), map(int, p.density)):
            along = -(size // 2) + (size // count) / 2 + np.arange(count) * (size // count)
            grid = np.array([(x, y) for y in along for x in along])
            for ratio in list(p.fixed_ratio) or [1.0, *self.ratios]:
                shifts.append(grid)
                sizes.append(np.tile([size * math.sqrt(ratio), size / math.sqrt(ratio)], (len(grid), 1)))
        return np.concatenate(shifts), np.concatenate(sizes)

    def _boxes_at_a_position(self, step):
        """Return (x, y) of the centers relative to the position, and (width, height), of the boxes there.

        The third value is the number of dense boxes, which come first.
        """
        p, sizes = self.param.prior_box_param, self._sizes()
        shifts = np.zeros_like(sizes)
        if p.faceboxes:
            groups = [_dense(int(size)) for size in p.min_size]
            sizes = np.concatenate([np.full((len(g), 2), size - 1) for g, size in zip(groups, map(int, p.min_size))])
            shifts = np.concatenate(groups)
        if p.textboxes or p.denser_prior_boxes:
            below = shifts + np.array([0, step[0] * (0.5 if p.textboxes else 1 - p.offset)])
            shifts = np.stack([shifts, below], axis=1).reshape(-1, 2)
            sizes = np.repeat(sizes, 2, axis=0)
        dense_shifts, dense_sizes = self._dense_boxes()
        return np.concatenate([dense_shifts, shifts]), np.concatenate([dense_sizes, sizes]), len(dense_sizes)

    def top_shapes(self, bottom: Shape, image: Shape | None = None) -> list[Shape]:
        self.need(len(bottom) == 4, "the bottom must have 4 axes, received %s", bottom)
        self.need(image is None or len(image) == 4, "the second bottom must have 4 axes, received %s", image)
        return [(1, 2, bottom[2] * bottom[3] * len(self._boxes_at_a_position((0, 0))[0]) * 4)]

    def boxes(self, bottom, image):
        """Return the values of the top for bottoms of these shapes."""
        p = self.param.prior_box_param
        image = (p.img_h, p.img_w) if p.img_h else (p.img_size,) * 2 if p.img_size else image[2:]
        step = (p.step_h, p.step_w) if p.step_h else (p.step,) * 2
        steps = [n or side / size for n, side, size in zip(step, image, bottom[2:])]
        rows, columns = ((np.arange(n) + p.offset) * step for n, step in zip(bottom[2:], steps))
        centers = np.stack(np.broadcast_arrays(columns[None, :], rows[:, None]), axis=-1)[:, :, None, :]
        shifts, sizes, dense_count = self._boxes_at_a_position(steps)
        centers, half = centers + shifts, sizes / 2
        found = np.concatenate([centers - half, centers + half], axis=-1) / np.array([image[1], image[0]] * 2)
        if p.tf and not p.box_width:
            squares = [
                number * (found.shape[2] // len(p.min_size)) for number, n in enumerate(p.min_size) if int(n) == 60
            ]
            found[:, :, squares] += np.array([0.05, 0.05, -0.05, -0.05])
        dense = found[:, :, :dense_count]
        dense[...] = np.concatenate([dense[..., :2].clip(min=0), dense[..., 2:].clip(max=1)], axis=-1)
        found = found[..., [1, 0, 3, 2]] if p.yx_order else found
        found = found.clip(0, 1) if p.clip else found
        spread = list(p.variance) or [0.1]
        variances = np.broadcast_to(np.array(spread if len(spread) == 4 else spread * 4), found.shape)
        return np.stack([found.ravel(), variances.ravel()])[None].astype(np.float32)

    def forward(self, bottom: Tensor, image: Tensor | None = None) -> Tensor:
        shape = None if image is None else tuple(image.shape)
        return torch.from_numpy(self.boxes(tuple(bottom.shape), shape)).to(bottom.device)

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        g.node(
            "Identity",
            [g.constant(self.boxes(*[tuple(g.shape(b)) for b in bottoms], *[None] * (2 - len(bottoms))), "boxes")],
            tops,
        )


def _ratios(p):
    """Return the aspect ratios other than 1, without repetitions."""
    ratios = [1.0]

    def add(candidates):
        for ratio in candidates:
            if all(abs(ratio - other) >= 1e-6 for other in ratios):
                ratios.extend([ratio, 1.0 / ratio] if p.flip and not p.keras else [ratio])

    add(p.aspect_ratio)
    if p.flip and p.keras:
        add([1.0 / ratio for ratio in p.aspect_ratio])
    return ratios[1:]


def _dense(size):
    """Return the (x, y) of FaceBoxes' boxes of a size: a grid for 32 and 64 pixels, otherwise the center."""
    count = {32: 4, 64: 2}.get(size, 1)
    if count == 1:
        return np.zeros((1, 2))
    along = (np.arange(count) - count // 2) * (size // 4)
    return np.array([(x, y) for y in along for x in along], float)
