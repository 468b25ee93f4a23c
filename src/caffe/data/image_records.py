"""A list of image files as an endless row of records, which a Feed turns into batches
(image_data_layer.cpp).
"""

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
    """The lines of the list file `source`, again and again; with a `seed`, each round in an order of its own.

    The order of round r follows from (seed, r) alone, so that a run which goes on later sees the same.
    """

    def __init__(self, source: str, seed: int | None = None) -> None:
        self.source, self.seed = source, seed
        self.entries = listfile.read(source)

    def __len__(self) -> int:
        return len(self.entries)

    def order(self, round_: int) -> np.ndarray:
        """Indices into `entries` of one round."""
        return np.arange(len(self)) if self.seed is None else shuffled(len(self), self.seed, round_)

    def at(self, index: int) -> Iterator[tuple[bytes, listfile.Entry]]:
        """(path, entry) from `index` on without end."""
        round_, start = divmod(index, len(self))
        while True:
            for i in self.order(round_)[start:]:
                entry = self.entries[i]
                yield os.fsencode(entry.path), entry
            round_, start = round_ + 1, 0


class ImageFeed(BatchPrefetcher):
    """A Feed of an ImageList: `root` stands before every path as it is, `size` is (height, width) or None."""

    def __init__(
        self,
        images: ImageList,
        *args: Any,
        root: str = "",
        size: tuple[int, int] | None = None,
        color: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(cast(DB, images), *args, **kwargs)  # its records are entries of the list
        self._root, self._size, self._color = root, size, color

    def _decode(self, key: bytes, value: Any) -> tuple[np.ndarray, list]:
        path = self._root + value.path
        try:
            picture = read_image(path, cv2.IMREAD_COLOR if self._color else cv2.IMREAD_GRAYSCALE)
        except ImageError as error:
            raise CaffeError("%s:%d: %s" % (self.db.source, value.line, error)) from None
        if self._size is not None and picture.shape[:2] != self._size:
            picture = cv2.resize(picture, self._size[::-1], interpolation=cv2.INTER_LINEAR)
        return planar(picture), [value.label]
