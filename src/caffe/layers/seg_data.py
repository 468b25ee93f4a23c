"""SegData: reads images with a label for each pixel (TSN's Caffe)."""

from __future__ import annotations

from typing import Any

from caffe.core import glog
from caffe.data.mean import transform_of
from caffe.data.prefetcher import BatchPrefetcher
from caffe.data.segmentation import PairList, SegmentationPrefetcher
from caffe.layers._segmentation_data import SegmentationDataLayer
from caffe.layers.base import register


@register
class SegData(SegmentationDataLayer):
    """Reads a list file with `image labels` per line, one image at a time: data (1, 3, H, W) and labels (1, 1, H, W).

    Image and labels (the gray values of an image) are cropped to a multiple of transform_param's `stride`, at most
    upper_size, or upper_height and upper_width; at random in TRAIN. `mirror` mirrors half of them; root_dir is a prefix
    of the paths. `balance` is not implemented. Source: yjxiong/caffe.
    """

    num_top = 2
    param_name = "seg_data_param"

    def setup(self) -> None:
        p, t = self.data, self.param.transform_param
        self.need(p.source, "seg_data_param needs a source: a list file")
        self.need(not p.balance, "seg_data_param.balance is not implemented")
        self.need(t.stride > 0, "stride must be positive, received %d", t.stride)
        self.transform = transform_of(t)
        self.pairs = PairList(p.source)
        glog.info(f"A total of {len(self.pairs)} images.", "seg_data_layer.cpp:45")
        super(SegmentationDataLayer, self).setup()

    def skip_below(self) -> int:
        return 0

    def _sides(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width to crop an image to."""
        t: Any = self.param.transform_param
        sides = [size // t.stride * t.stride for size in (height, width)]
        self.need(min(sides) > 0, "an image of %d x %d is smaller than the stride, %d", height, width, t.stride)
        if t.HasField("upper_size"):
            sides = [min(side, t.upper_size) for side in sides]
        elif t.HasField("upper_height") and t.HasField("upper_width"):
            sides = [min(sides[0], t.upper_height), min(sides[1], t.upper_width)]
        return sides[0], sides[1]

    def make_prefetcher(self, seed: int, position: int, skip: int) -> BatchPrefetcher:
        self.pairs.seed = seed if self.data.shuffle else None
        return self.image_prefetcher(
            SegmentationPrefetcher,
            self.pairs,
            1,
            seed=seed,
            position=position,
            skip=skip,
            root=self.data.root_dir,
            crop=self._sides,
            mirror=self.mirror(),
        )
