"""WindowData: windows of images, for R-CNN."""

from __future__ import annotations

import numpy as np

from caffe.core import config, glog
from caffe.data import windows
from caffe.data.mean import read_mean
from caffe.data.prefetcher import BatchPrefetcher
from caffe.data.window_prefetcher import WindowPrefetcher
from caffe.layers._prefetching_data import BasePrefetchingDataLayer
from caffe.layers.base import register


@register
class WindowData(BasePrefetchingDataLayer):
    """Draws windows listed in a window file: data (N, C, crop, crop) and classes (N) (window_data_layer.cpp).

    fg_fraction of a batch are foreground windows, with an overlap of at least fg_threshold; the rest are background,
    with an overlap below bg_threshold and class 0. Each window is warped to crop_size (of transform_param), including
    context_pad pixels of its surroundings; crop_mode "square" keeps the aspect ratio. Pixels outside the image are
    zero. The center of a mean image is used. `scale` of window_data_param has precedence over transform_param.
    """

    num_top = 2

    def setup(self) -> None:
        p, t = self.param.window_data_param, self.param.transform_param
        self.need(p.source, "window_data_param needs a source: a window file")
        self.need(p.batch_size > 0, "window_data_param needs a positive batch_size, received %d", p.batch_size)
        self.crop = t.crop_size or p.crop_size
        self.need(self.crop > 0, "WindowData needs a crop_size in transform_param")
        self.need(
            2 * p.context_pad < self.crop,
            "context_pad %d is too large for crop_size %d",
            p.context_pad,
            self.crop,
        )
        self.need(p.crop_mode in ("warp", "square"), "crop_mode must be warp or square, received '%s'", p.crop_mode)
        self.file = windows.read(p.source, p.fg_threshold, p.bg_threshold, p.root_folder)
        self.mean = self._read_mean(self.file.images[0][1])
        self._check_windows(int(p.batch_size * p.fg_fraction), p.batch_size)
        glog.info(f"Number of images: {len(self.file.images)}", "window_data_layer.cpp:132")
        super().setup()

    def _check_windows(self, foreground, batch):
        self.need(0 <= foreground <= batch, "fg_fraction must be in 0 .. 1")
        self.need(foreground == 0 or self.file.foreground, "'%s' has no foreground window", self.file.source)
        self.need(foreground == batch or self.file.background, "'%s' has no background window", self.file.source)

    def _read_mean(self, channels):
        t = self.param.transform_param
        path = t.mean_file or self.param.window_data_param.mean_file
        if path:
            mean = read_mean(path)
            self.need(
                mean.shape[0] == channels and min(mean.shape[1:]) >= self.crop,
                "mean file '%s': expected %d channels of at least %d x %d, received %s",
                path,
                channels,
                self.crop,
                self.crop,
                mean.shape,
            )
            return mean
        values = list(t.mean_value)
        self.need(
            len(values) in (0, 1, channels),
            "expected one mean_value or %d, received %d",
            channels,
            len(values),
        )
        return np.array(values, np.float32) if values else None

    def make_prefetcher(self, seed: int, position: int, skip: int) -> BatchPrefetcher:
        p, t = self.param.window_data_param, self.param.transform_param
        return WindowPrefetcher(
            self.file,
            p.batch_size,
            crop=self.crop,
            mean=self.mean,
            scale=p.scale if p.HasField("scale") else t.scale,
            mirror=t.mirror or p.mirror,
            fg_fraction=p.fg_fraction,
            context_pad=p.context_pad,
            square=p.crop_mode == windows.SQUARE,
            cache=p.cache_images,
            seed=seed,
            position=position,
            skip=skip,
            share=config.solver_share(self.phase),
        )
