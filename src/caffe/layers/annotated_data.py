"""AnnotatedData: reads images with boxes from a database."""

from __future__ import annotations

from pathlib import Path

from caffe.data.boxes import noise
from caffe.data.boxes.prefetcher import AnnotatedPrefetcher
from caffe.data.db import open_db
from caffe.data.mean import transform_of
from caffe.data.prefetcher import BatchPrefetcher
from caffe.layers._prefetching_data import BasePrefetchingDataLayer
from caffe.layers.base import Shape, register


@register
class AnnotatedData(BasePrefetchingDataLayer):
    """Reads AnnotatedDatums: data (N, C, H, W) and boxes (1, 1, n, 8) (SSD).

    A row of the second top is (item, label, instance, xmin, ymin, xmax, ymax, difficult), with corners as fractions of
    the image; if a batch has no box, there is one row of -1. The order is that of SSD: distort_param changes the
    colours, expand_param places the image in a larger one that has the mean's colour, batch_sampler chooses a window,
    resize_param sets the size, then noise_param, crop_size, mirror, mean and scale. A box is kept if emit_constraint
    allows it. Unlike SSD, images are not compressed to JPEG between these steps. With `yolo_data_type: 1`
    (MobileNet-YOLO), the boxes are (N, 1, 300, 5): class from 0, center x and y, width and height, then rows of 0; in
    TRAIN, without batch_sampler, yolo_data_jitter chooses a window. The default `backend` is LEVELDB. `caffe
    convert_annoset` creates a database.
    """

    def setup(self) -> None:
        p, t, a = self.param.data_param, self.param.transform_param, self.param.annotated_data_param
        self.need(p.source, "data_param needs a source")
        self.need(p.batch_size > 0, "data_param needs a positive batch_size, received %d", p.batch_size)
        for name in ("has_seg_label", "has_lane_label"):
            self.need(not getattr(a, name), "annotated_data_param.%s is not implemented", name)
        self.need(a.yolo_data_type in (0, 1), "yolo_data_type: %d is not implemented", a.yolo_data_type)
        missing = [name for param in t.noise_param for name in noise.missing(param)]
        self.need(not missing, "noise_param.%s is not implemented", ", ".join(missing))
        modes = [resize.resize_mode == resize.FIT_SMALL_SIZE for resize in t.resize_param]
        self.need(p.batch_size == 1 or not any(modes), "FIT_SMALL_SIZE needs a batch_size of 1")
        self._check_label_map(a.label_map_file)
        self.transform = transform_of(t)
        self.db = open_db(p.source, int(p.backend))
        super().setup()

    def _check_label_map(self, path):
        """The file is only for people and other tools; a missing one is an error, as in SSD's tools."""
        self.need(not path or Path(path).is_file(), "label_map_file '%s' does not exist", path)

    def skip_below(self) -> int:
        return self.param.data_param.rand_skip

    def top_shapes(self) -> list[Shape]:
        yolo = self.param.annotated_data_param.yolo_data_type
        return [self._shape, (self._shape[0], 1, 300, 5) if yolo else (1, 1, 1, 8)][: self.top_count]

    def make_prefetcher(self, seed: int, position: int, skip: int) -> BatchPrefetcher:
        p, t = self.param.data_param, self.param.transform_param
        prefetcher = self.image_prefetcher(
            AnnotatedPrefetcher,
            self.db,
            p.batch_size,
            seed=seed,
            position=position,
            skip=skip,
            prefetch=p.prefetch,
            force_color=t.force_color or p.force_encoded_color,
            force_gray=t.force_gray,
        )
        prefetcher.param = t
        annotated = self.param.annotated_data_param
        prefetcher.samplers = list(annotated.batch_sampler)
        prefetcher.yolo = annotated if annotated.yolo_data_type else None
        return prefetcher
