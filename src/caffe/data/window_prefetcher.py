"""Batches of warped windows, made in a thread (window_data_layer.cpp)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import cv2
import numpy as np

from caffe.data.db import DB
from caffe.data.prefetcher import Batch, BatchPrefetcher
from caffe.data.windows import Window, WindowFile, warp_of
from caffe.device.image_file import ImageError, decode_image, read_bytes, shown
from caffe.device.transform import Transform
from caffe.errors import CaffeError


class _Drawn:
    """In a database's place: windows are drawn, not read in order."""

    def __init__(self, source: str) -> None:
        self.source = source

    def at(self, index: int) -> Iterator[tuple[bytes, bytes]]:
        """Nothing is read."""
        return iter(())


class WindowFeed(BatchPrefetcher):
    """Batches of windows: first the background share, then the foreground, drawn from (seed, position)."""

    def __init__(
        self,
        file: WindowFile,
        batch_size: int,
        *,
        crop: int,
        mean: np.ndarray | None = None,
        scale: float = 1.0,
        mirror: bool = False,
        fg_fraction: float = 0.25,
        context_pad: int = 0,
        square: bool = False,
        cache: bool = False,
        seed: int = 0,
        position: int = 0,
        skip: int = 0,
    ) -> None:
        drawn = cast(DB, _Drawn(file.source))
        super().__init__(drawn, batch_size, Transform(), seed=seed, position=position, skip=skip)
        self.file = file
        self._crop, self._mean, self._scale, self._mirror = crop, mean, np.float32(scale), mirror
        self._context_pad, self._square = context_pad, square
        self._foreground = int(np.float32(batch_size) * np.float32(fg_fraction))
        self._files = [_bytes(image[0], file.source) for image in file.images] if cache else None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (self.batch_size, self.file.images[0][1], self._crop, self._crop)

    def _batch(self, records: Any, position: int, old: Batch | None) -> Batch:
        rng = np.random.default_rng([self.seed & 0xFFFFFFFFFFFFFFFF, position])
        data = np.zeros(self.shape, np.float32) if old is None else old.data
        label = np.empty(self.batch_size, np.float32) if old is None else old.labels[0]
        data[...] = 0
        for index in range(self.batch_size):
            background = index < self.batch_size - self._foreground
            windows = self.file.background if background else self.file.foreground
            window = windows[rng.integers(len(windows))]
            self._put(window, self._mirror and bool(rng.integers(2)), data[index])
            label[index] = window.label
        return Batch((data, label))

    def _put(self, window: Window, mirror: bool, out: np.ndarray) -> None:
        """Warp one window into `out`, zeros of (C, crop, crop)."""
        picture = self._picture(window.image)
        warp = warp_of(window.box, picture.shape[:2], self._crop, self._context_pad, self._square, mirror)
        x1, y1, x2, y2 = warp.box
        cut = picture[y1 : y2 + 1, x1 : x2 + 1]
        if (
            min(x1, y1) < 0
            or cut.shape[:2] != (y2 - y1 + 1, x2 - x1 + 1)
            or not cut.size
            or min(warp.width, warp.height) < 1
        ):
            raise CaffeError(
                "window %s of '%s' does not lie in the picture of %dx%d"
                % (window.box, self.file.images[window.image][0], *picture.shape[:2])
            )
        cut = cv2.resize(cut, (warp.width, warp.height), interpolation=cv2.INTER_LINEAR)
        planes = (cut[:, ::-1] if mirror else cut).transpose(2, 0, 1).astype(np.float32)
        place = (
            slice(None),
            slice(warp.top, warp.top + warp.height),
            slice(warp.left, warp.left + warp.width),
        )
        if self._mean is not None:
            planes -= self._mean_window(self._mean)[place]
        out[place] = planes * self._scale

    def _mean_window(self, mean: np.ndarray) -> np.ndarray:
        """The mean as (C, crop, crop): the middle of a mean image, as Caffe takes it, or by channel."""
        channels = self.file.images[0][1]
        if mean.ndim == 1:
            return np.broadcast_to(mean.reshape(-1, 1, 1), (channels, self._crop, self._crop))
        off = (mean.shape[2] - self._crop) // 2
        return mean[:, off : off + self._crop, off : off + self._crop]

    def _picture(self, number: int) -> np.ndarray:
        path = self.file.images[number][0]
        data = self._files[number] if self._files is not None else _bytes(path, self.file.source)
        try:
            return decode_image(data, name=shown(path))
        except ImageError as error:
            raise CaffeError(f"{self.file.source}: {error}") from None


def _bytes(path: str, source: str) -> bytes:
    try:
        return read_bytes(path)
    except ImageError as error:
        raise CaffeError(f"{source}: {error}") from None
