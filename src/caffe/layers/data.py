"""Data: reads records from an LMDB or LevelDB."""

from __future__ import annotations

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
    """Reads Datums from a database in key order, in a cycle: data (N, C, H, W) and labels (N) (data_layer.cpp).

    The label top is optional; further tops are labels that a Datum with byte data stores as float_data. A thread reads
    `prefetch` batches ahead. transform_param: (pixel - mean at the crop's position) * scale; TRAIN crops at random,
    TEST at the center; mirror flips half of the images in both phases. rand_skip skips a random number of records at
    the start. Encoded Datums are decoded as stored, or as force_color / force_gray requires. With a batch size of 1,
    the image size may vary. The default `backend` is LEVELDB.

    Additions to Caffe, in TRAIN only: data_param { shuffle } shuffles the records in every epoch, and `balance`
    oversamples rare classes (of the first label, or of label number `balance_label`), from 0, not at all, to 1, all
    classes equally often; transform_param { augment } augments the images at random.
    """

    num_top = (1, None)

    def setup(self) -> None:
        p = self.param.data_param
        self.need(p.source, "data_param needs a source")
        self.need(p.batch_size > 0, "data_param needs a positive batch_size, received %d", p.batch_size)
        self.need(p.prefetch > 0, "prefetch must be positive, received %d", p.prefetch)
        self.warn_about_legacy_fields("data_param")
        self.need(
            p.balance_label < max(1, self.top_count - 1),
            "balance_label must be less than the number of labels, received %d",
            p.balance_label,
        )
        self.need(0 <= p.balance <= 1, "balance must be in 0 .. 1, received %g", p.balance)
        self.transform = transform_of(self.param.transform_param)
        self.augment = augment_of(self.param.transform_param)
        self.db = open_db(p.source, int(p.backend))
        super().setup()

    def skip_below(self) -> int:
        return self.param.data_param.rand_skip

    def make_prefetcher(self, seed: int, position: int, skip: int) -> BatchPrefetcher:
        p, t = self.param.data_param, self.param.transform_param
        return self.image_prefetcher(
            BatchPrefetcher,
            self.db,
            p.batch_size,
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

    def order(self, seed: int) -> RecordSampler | None:
        """Return the RecordSampler for `shuffle` and `balance` in TRAIN, otherwise None."""
        p = self.param.data_param
        if self.phase != TRAIN or not (p.shuffle or p.balance):
            return None
        label = p.balance_label
        classes = [datum.decode_labels(value, label + 1)[1][label] for _, value in self.db] if p.balance else ()
        return RecordSampler(len(self.db), seed, classes, p.balance)
