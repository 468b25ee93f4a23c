"""Data: records of an LMDB or LevelDB."""

from caffe.data import datum
from caffe.data.augment import augment_of
from caffe.data.db import open_db
from caffe.data.mean import transform_of
from caffe.data.prefetcher import BatchPrefetcher
from caffe.data.sampler import RecordSampler
from caffe.layers._prefetching_data import BasePrefetchingDataLayer
from caffe.layers.base import TRAIN, register


@register
class Data(BasePrefetchingDataLayer):
    """Reads Datums in the order of their keys, beginning anew after the last: data (N, C, H, W) and, with two
    tops, labels (N) (data_layer.cpp). Further tops are labels that a Datum of bytes holds as float_data.

    A thread reads `prefetch` batches ahead. transform_param: (pixel - mean at the crop's place) * scale;
    TRAIN crops at random, TEST at the centre; mirror flips half of the pictures in both phases. rand_skip
    passes over up to so many records at the start. Encoded Datums are decoded as they were stored, or as
    force_color / force_gray say. Batches of one may vary in size. `backend` is LEVELDB unless LMDB is given.

    In TRAIN, and not known to Caffe: data_param { shuffle } shows the records in a new order each time through, `balance`
    rare classes (of the first label) more often, from 0, as they are, to 1, all equally; transform_param { augment }
    changes the pictures at random.
    """

    num_top = (1, None)

    def setup(self):
        p = self.param.data_param
        self.need(p.source, "data_param needs a source")
        self.need(p.batch_size > 0, "data_param needs a positive batch_size, received %d", p.batch_size)
        self.need(p.prefetch > 0, "prefetch must be positive, received %d", p.prefetch)
        self.warn_of_old_fields("data_param")
        self.need(0 <= p.balance <= 1, "balance lies in 0 (as they are) .. 1 (all equally), received %g", p.balance)
        self.transform = transform_of(self.param.transform_param)
        self.augment = augment_of(self.param.transform_param)
        self.db = open_db(p.source, int(p.backend))
        super().setup()

    def skip_below(self):
        return self.param.data_param.rand_skip

    def make_prefetcher(self, seed, position, skip):
        p, t = self.param.data_param, self.param.transform_param
        return BatchPrefetcher(
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
            labels=max(1, self.top_count - 1),
            order=self.order(seed),
            augment=self.augment,
        )

    def order(self, seed):
        """The Shuffled that data_param asks for in TRAIN, or None."""
        p = self.param.data_param
        if self.phase != TRAIN or not (p.shuffle or p.balance):
            return None
        classes = [datum.label_of(value) for _, value in self.db] if p.balance else ()
        return RecordSampler(len(self.db), seed, classes, p.balance)
