"""Base class of the layers that read images with a label for each pixel."""

from __future__ import annotations

from typing import Any

from caffe.core import glog
from caffe.data.mean import transform_of
from caffe.data.prefetcher import BatchPrefetcher
from caffe.data.segmentation import PairList, SegmentationPrefetcher
from caffe.layers._prefetching_data import BasePrefetchingDataLayer
from caffe.layers.base import Shape


class SegmentationDataLayer(BasePrefetchingDataLayer):
    """Reads a list of images and labels; subclasses say which parameter message they have."""

    num_top: int | tuple = (2, 3)
    param_name = ""

    @property
    def data(self) -> Any:
        """The layer's parameter message."""
        return getattr(self.param, self.param_name)

    @property
    def labels(self) -> str:
        """What the second word of a line is: "file", "number" or "none"."""
        return "file"

    def crop(self) -> tuple[int, int] | None:
        """Return the (height, width) to crop to."""
        t = self.param.transform_param
        if t.crop_size:
            return (t.crop_size, t.crop_size)
        return (t.crop_height, t.crop_width) if t.crop_height and t.crop_width else None

    def setup(self) -> None:
        p = self.data
        self.need(p.source, "%s needs a source: a list file", self.param_name)
        self.need(p.batch_size > 0, "batch_size must be positive, received %d", p.batch_size)
        self.need(bool(p.new_height) == bool(p.new_width), "new_height and new_width must be given together")
        self.transform = transform_of(self.param.transform_param)
        self.pairs = PairList(p.source, labels=self.labels != "none")
        glog.info(f"A total of {len(self.pairs)} images.", "image_seg_data_layer.cpp:65")
        super().setup()

    def skip_below(self) -> int:
        return self.data.rand_skip

    def top_shapes(self) -> list[Shape]:
        count, _, height, width = self._shape
        return [self._shape, (count, 1, height, width), (count, 1, 1, 2)][: self.top_count]

    def mirror(self) -> bool:
        """Return whether half of the images are mirrored."""
        return self.param.transform_param.mirror

    def make_prefetcher(self, seed: int, position: int, skip: int) -> BatchPrefetcher:
        p = self.data
        self.pairs.seed = seed if p.shuffle else None
        return self.image_prefetcher(
            SegmentationPrefetcher,
            self.pairs,
            p.batch_size,
            seed=seed,
            position=position,
            skip=skip,
            root=p.root_folder,
            size=(p.new_height, p.new_width) if p.new_height else None,
            crop=self.crop(),
            color=p.is_color,
            mirror=self.mirror(),
            factors=list(self.param.transform_param.scale_factors),
            labels=self.labels,
            ignore=getattr(p, "ignore_label", 255),
        )
