"""Batches of images from a list file (image_data_layer.cpp)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, cast

import cv2
import numpy as np

from caffe.data import listfile
from caffe.data.db import DB
from caffe.data.prefetcher import BatchPrefetcher
from caffe.data.sampler import shuffled
from caffe.device.image_file import ImageError, read_image
from caffe.device.transform import planar
from caffe.errors import CaffeError


class ImageList:
    """The lines of the list file `source`, repeated endlessly; with a `seed`, shuffled per epoch.

    The order of epoch e depends only on (seed, e), so that a resumed run sees the same order.
    """

    def __init__(self, source: str, seed: int | None = None) -> None:
        self.source, self.seed = source, seed
        self.entries = listfile.read(source)

    def __len__(self) -> int:
        return len(self.entries)

    def order(self, epoch: int) -> np.ndarray:
        """Return the indices into `entries` for one epoch."""
        return np.arange(len(self)) if self.seed is None else shuffled(len(self), self.seed, epoch)

    def at(self, index: int) -> Iterator[tuple[bytes, listfile.Entry]]:
        """Yield (path, entry) endlessly from `index`."""
        epoch, start = divmod(index, len(self))
        while True:
            for i in self.order(epoch)[start:]:
                entry = self.entries[i]
                yield os.fsencode(entry.path), entry
            epoch, start = epoch + 1, 0


class ImagePrefetcher(BatchPrefetcher):
    """BatchPrefetcher of an ImageList; `root` is a prefix of every path, `size` is (height, width) or None."""

    def __init__(
        self,
        images: ImageList,
        *args: Any,
        root: str = "",
        size: tuple[int, int] | None = None,
        color: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(cast(DB, images), *args, **kwargs)  # yields Entry instead of bytes
        self._root, self._size, self._color = root, size, color

    def _decode(self, key: bytes, value: Any) -> tuple[np.ndarray, list]:
        path = self._root + value.path
        try:
            image = read_image(path, cv2.IMREAD_COLOR if self._color else cv2.IMREAD_GRAYSCALE)
        except ImageError as error:
            raise CaffeError(f"{self.db.source}:{value.line}: {error}") from None
        if self._size is not None and image.shape[:2] != self._size:
            image = cv2.resize(image, self._size[::-1], interpolation=cv2.INTER_LINEAR)
        return planar(image), [value.label]
