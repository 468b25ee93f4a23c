"""ImageData: reads image files named in a list."""

from __future__ import annotations

from caffe.core import glog
from caffe.data import listfile
from caffe.data.augment import augment_of
from caffe.data.image_records import ImageList, ImagePrefetcher
from caffe.data.mean import transform_of
from caffe.data.prefetcher import BatchPrefetcher
from caffe.layers._prefetching_data import BasePrefetchingDataLayer
from caffe.layers.base import register


@register
class ImageData(BasePrefetchingDataLayer):
    """Reads the images of a list file with `path label` per line: data (N, C, H, W), labels (N) (image_data_layer.cpp).

    `root_folder` is prepended to every path unchanged (end it with a slash). new_height and new_width resize the
    images; without them all images of a batch must have the same size, or crop_size must be given. `shuffle` shuffles
    the list in every epoch; is_color: false reads one channel. transform_param, including `augment`, is as for Data.
    """

    num_top = 2

    def setup(self) -> None:
        p = self.param.image_data_param
        self.need(p.source, "image_data_param needs a source: a list file")
        self.need(p.batch_size > 0, "batch_size must be positive, received %d", p.batch_size)
        self.need(
            bool(p.new_height) == bool(p.new_width),
            "new_height and new_width must be given together, received %d and %d",
            p.new_height,
            p.new_width,
        )
        self.warn_about_legacy_fields("image_data_param")
        self.transform = transform_of(self.param.transform_param)
        self.augment = augment_of(self.param.transform_param)
        self.images = ImageList(p.source)
        listfile.check_root(p.root_folder, self.images.entries, "root_folder")
        glog.info(f"A total of {len(self.images)} images.", "image_data_layer.cpp:61")
        super().setup()

    def skip_below(self) -> int:
        p = self.param.image_data_param
        self.need(
            p.rand_skip <= len(self.images),
            "rand_skip %d exceeds the %d lines of the list",
            p.rand_skip,
            len(self.images),
        )
        return p.rand_skip

    def make_prefetcher(self, seed: int, position: int, skip: int) -> BatchPrefetcher:
        p = self.param.image_data_param
        self.images.seed = seed if p.shuffle else None
        return self.image_prefetcher(
            ImagePrefetcher,
            self.images,
            p.batch_size,
            seed=seed,
            position=position,
            skip=skip,
            root=p.root_folder,
            size=(p.new_height, p.new_width) if p.new_height else None,
            color=p.is_color,
            augment=self.augment,
        )
