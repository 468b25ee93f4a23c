"""Batches of warped windows, prefetched in a thread (window_data_layer.cpp)."""

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


class _NoDatabase:
    """Placeholder database: windows are drawn at random, not read in order."""

    def __init__(self, source: str) -> None:
        self.source = source

    def at(self, index: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield nothing."""
        return iter(())


class WindowPrefetcher(BatchPrefetcher):
    """BatchPrefetcher of windows, background first, then foreground; drawn at random from (seed, position)."""

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
        share: tuple[int, int] = (0, 1),
    ) -> None:
        db = cast(DB, _NoDatabase(file.source))
        super().__init__(db, batch_size, Transform(), seed=seed, position=position, skip=skip, share=share)
        self.file = file
        self._crop, self._mean, self._scale, self._mirror = crop, mean, np.float32(scale), mirror
        self._context_pad, self._square = context_pad, square
        self._foreground = int(np.float32(batch_size) * np.float32(fg_fraction))
        self._files = [_bytes(image[0], file.source) for image in file.images] if cache else None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape (N, C, H, W) of the batches."""
        return (self.batch_size, self.file.images[0][1], self._crop, self._crop)

    def _batch(self, records: Any, position: int, reusable: Batch | None) -> Batch:
        rank, solvers = self.share
        rng = np.random.default_rng([self.seed & 0xFFFFFFFFFFFFFFFF, position * solvers + rank])
        data = np.zeros(self.shape, np.float32) if reusable is None else reusable.data
        label = np.empty(self.batch_size, np.float32) if reusable is None else reusable.labels[0]
        data[...] = 0
        for index in range(self.batch_size):
            background = index < self.batch_size - self._foreground
            windows = self.file.background if background else self.file.foreground
            window = windows[rng.integers(len(windows))]
            self._warp(window, self._mirror and bool(rng.integers(2)), data[index])
            label[index] = window.label
        return Batch((data, label))

    def _warp(self, window: Window, mirror: bool, out: np.ndarray) -> None:
        """Warp one window into `out`, a zero array (C, crop, crop)."""
        image = self._image(window.image)
        warp = warp_of(window.box, image.shape[:2], self._crop, self._context_pad, self._square, mirror)
        x1, y1, x2, y2 = warp.box
        patch = image[y1 : y2 + 1, x1 : x2 + 1]
        if (
            min(x1, y1) < 0
            or patch.shape[:2] != (y2 - y1 + 1, x2 - x1 + 1)
            or not patch.size
            or min(warp.width, warp.height) < 1
        ):
            height, width = image.shape[:2]
            path = self.file.images[window.image][0]
            raise CaffeError(f"window {window.box} of '{path}' is not inside the image of {height}x{width}")
        patch = cv2.resize(patch, (warp.width, warp.height), interpolation=cv2.INTER_LINEAR)
        planes = (patch[:, ::-1] if mirror else patch).transpose(2, 0, 1).astype(np.float32)
        region = (
            slice(None),
            slice(warp.top, warp.top + warp.height),
            slice(warp.left, warp.left + warp.width),
        )
        if self._mean is not None:
            planes -= self._mean_window(self._mean)[region]
        out[region] = planes * self._scale

    def _mean_window(self, mean: np.ndarray) -> np.ndarray:
        """Return the mean as (C, crop, crop): the centre of a mean image, as in Caffe, or the value per channel."""
        channels = self.file.images[0][1]
        if mean.ndim == 1:
            return np.broadcast_to(mean.reshape(-1, 1, 1), (channels, self._crop, self._crop))
        offset = (mean.shape[2] - self._crop) // 2
        return mean[:, offset : offset + self._crop, offset : offset + self._crop]

    def _image(self, number: int) -> np.ndarray:
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
