"""PriorBoxClustered: boxes of given sizes."""

from __future__ import annotations

import numpy as np

from caffe.layers.base import Example, Shape, register
from caffe.layers.prior_box import PriorBox


@register
class PriorBoxClustered(PriorBox):
    """PriorBox with given sizes of the boxes, one `width` and `height` each, in pixels of the image.

    The layer type is one of Intel's Model Optimizer.
    """

    examples = (
        Example(
            "prior_box_param { width: 8 height: 12 width: 20 height: 10 "
            "variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 }",
            [(1, 3, 2, 3), (1, 3, 32, 24)],
        ),
    )

    def setup(self, bottom: Shape, image: Shape | None = None) -> None:
        p = self.param.prior_box_param
        self.need(
            len(p.width) == len(p.height) > 0,
            "expected as many widths as heights, received %d and %d",
            len(p.width),
            len(p.height),
        )
        self.need(len(p.variance) in (0, 1, 4), "expected 1 or 4 variances, received %d", len(p.variance))
        self.need(
            image is not None or p.img_size or p.img_h,
            "without a second bottom, img_size, or img_h and img_w, is required",
        )

    def _sizes(self):
        p = self.param.prior_box_param
        return np.stack([p.width, p.height], axis=1).astype(np.float32)
