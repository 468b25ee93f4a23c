"""ImageData: image files named in a list."""

from caffe.core import glog
from caffe.data.augment import augment_of
from caffe.data.image_records import ImagePrefetcher, ImageList
from caffe.data.mean import transform_of
from caffe.layers._prefetching_data import BasePrefetchingDataLayer
from caffe.layers.base import register


@register
class ImageData(BasePrefetchingDataLayer):
    """Reads the pictures of a list file, `path label` a line: data (N, C, H, W) and labels (N)
    (image_data_layer.cpp).

    `root_folder` is put before every path as it is (end it with a slash). new_height and new_width go
    together; without them the pictures of a batch must be equally large, or crop_size be given. `shuffle`
    orders every round anew; is_color: false reads one channel. transform_param as in Data, `augment` included.
    """

    num_top = 2

    def setup(self):
        p = self.param.image_data_param
        self.need(p.source, "image_data_param needs a source: a list file")
        self.need(p.batch_size > 0, "batch_size must be positive, received %d", p.batch_size)
        self.need(
            bool(p.new_height) == bool(p.new_width),
            "new_height and new_width must be given together, received %d and %d",
            p.new_height,
            p.new_width,
        )
        self.warn_of_old_fields("image_data_param")
        self.transform = transform_of(self.param.transform_param)
        self.augment = augment_of(self.param.transform_param)
        self.images = ImageList(p.source)
        glog.info("A total of %d images." % len(self.images), "image_data_layer.cpp:61")
        super().setup()

    def skip_below(self):
        p = self.param.image_data_param
        self.need(
            p.rand_skip <= len(self.images),
            "rand_skip %d is more than the list's %d lines",
            p.rand_skip,
            len(self.images),
        )
        return p.rand_skip

    def make_prefetcher(self, seed, position, skip):
        p = self.param.image_data_param
        self.images.seed = seed if p.shuffle else None
        return ImagePrefetcher(
            self.images,
            p.batch_size,
            self.transform,
            self.phase,
            seed=seed,
            position=position,
            skip=skip,
            root=p.root_folder,
            size=(p.new_height, p.new_width) if p.new_height else None,
            color=p.is_color,
            augment=self.augment,
        )
