"""Data: records of an LMDB or LevelDB."""

from caffe.data.db import open_db
from caffe.data.feed import Feed
from caffe.data.mean import transform_of
from caffe.feeding import FeedLayer
from caffe.layers.base import register


@register
class Data(FeedLayer):
    """Reads Datums in the order of their keys, beginning anew after the last: data (N, C, H, W) and, with two
    tops, labels (N) (data_layer.cpp).

    A thread reads `prefetch` batches ahead. transform_param: (pixel - mean at the crop's place) * scale;
    TRAIN crops at random, TEST at the centre; mirror flips half of the pictures in both phases. rand_skip
    passes over up to so many records at the start. Encoded Datums are decoded as they were stored, or as
    force_color / force_gray say. Batches of one may vary in size. `backend` is LEVELDB unless LMDB is given.
    """

    def setup(self):
        p = self.param.data_param
        self.need(p.source, "data_param needs a source")
        self.need(p.batch_size > 0, "data_param needs a positive batch_size, received %d", p.batch_size)
        self.need(p.prefetch > 0, "prefetch must be positive, received %d", p.prefetch)
        self.warn_of_old_fields("data_param")
        self.transform = transform_of(self.param.transform_param)
        self.db = open_db(p.source, int(p.backend))
        super().setup()

    def skip_below(self):
        return self.param.data_param.rand_skip

    def make_feed(self, seed, position, skip):
        p, t = self.param.data_param, self.param.transform_param
        return Feed(
            self.db,
            p.batch_size,
            self.transform,
            self.phase,
            seed=seed,
            position=position,
            skip=skip,
            prefetch=p.prefetch,
            force_color=t.force_color or p.force_encoded_color,
            force_gray=t.force_gray,
        )
