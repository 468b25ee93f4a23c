"""Batches of images with a label for each pixel, for SegNet's and DeepLab's data layers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, cast

import cv2
import numpy as np

from caffe.data import listfile
from caffe.data.db import DB
from caffe.data.prefetcher import Batch, BatchPrefetcher
from caffe.data.sampler import shuffled
from caffe.device.image_file import ImageError, read_image
from caffe.device.transform import is_train, planar
from caffe.errors import CaffeError
from caffe.utils import input_file


class Pair(NamedTuple):
    """One line of a list: an image, and its labels (a file, a number or nothing)."""

    path: str
    label: str
    line: int


class PairList:
    """The lines `image labels` of the list file `source`, repeated endlessly; with a `seed`, shuffled per epoch."""

    def __init__(self, source: str, seed: int | None = None, labels: bool = True) -> None:
        self.source, self.seed = source, seed
        self.entries: list[Pair] = []
        errors = []
        for number, line in enumerate(input_file.read_text(source, "surrogateescape").splitlines(), 1):
            words = line.split()
            if len(words) == 2 or (len(words) == 1 and not labels):
                self.entries.append(Pair(words[0], words[1] if len(words) == 2 else "", number))
            else:
                errors.append(f"{source}:{number}: expected `image labels`, received '{line}'")
        if not self.entries and not errors:
            errors.append(f"{source}: the list is empty; expected lines of the form `image labels`")
        if errors:
            raise CaffeError(listfile.error_text(errors, "invalid line"))

    def __len__(self) -> int:
        return len(self.entries)

    def at(self, index: int) -> Iterator[tuple[bytes, Pair]]:
        """Yield (path, entry) endlessly from `index`."""
        epoch, start = divmod(index, len(self))
        while True:
            order = np.arange(len(self)) if self.seed is None else shuffled(len(self), self.seed, epoch)
            for i in order[start:]:
                yield os.fsencode(self.entries[i].path), self.entries[i]
            epoch, start = epoch + 1, 0


class SegmentationPrefetcher(BatchPrefetcher):
    """Endless iterator of (data (N, C, H, W), labels (N, 1, H, W), sizes (N, 1, 1, 2)), all float32.

    Parameters
    ----------
    pairs : PairList
    root : str
        A prefix of every path.
    size : (height, width), optional
        Images and labels are resized to it, the labels without interpolation.
    crop : (height, width), or function of (height, width), optional
        At random in TRAIN, at the center in TEST; a function returns it for the size of an image. Smaller images are
        padded, with the mean and the label `ignore`.
    color : bool
    mirror : bool
        Mirror half of the images.
    factors : sequence of float
        In TRAIN, one of these factors of the size is chosen at random.
    labels : {"file", "number", "none"}
        What the second word of a line is: an image with the label of each pixel, the label of all pixels, or absent.
    ignore : int
    """

    def __init__(
        self,
        pairs: PairList,
        *args: Any,
        root: str = "",
        size: tuple[int, int] | None = None,
        crop: tuple[int, int] | Callable[[int, int], tuple[int, int]] | None = None,
        color: bool = True,
        mirror: bool = False,
        factors: Sequence[float] = (),
        labels: str = "file",
        ignore: int = 255,
        **kwargs: Any,
    ) -> None:
        super().__init__(cast(DB, pairs), *args, **kwargs)
        self._root, self._size, self._crop, self._color = root, size, crop, color
        self._mirror, self._factors, self._kind, self._ignore = mirror, list(factors), labels, ignore

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape (N, C, H, W) of the batches, from the first image."""
        image, _, _ = self._changed(next(self.db.at(0))[1], np.random.default_rng(0))
        return (self.batch_size, *image.shape)

    def _batch(self, records: Iterator, position: int, reusable: Batch | None) -> Batch:
        rng = self._own_generator(position)
        found = [self._changed(next(records)[1], rng) for _ in range(self.batch_size)]
        images, labels, sizes = (list(part) for part in zip(*found))
        shapes = {image.shape for image in images}
        if len(shapes) > 1:
            raise CaffeError(f"'{self.db.source}': images of {sorted(shapes)} in one batch; set a size or crop")
        plain = self.transform.replace(crop=None, mirror=False)
        data = plain.planes(images, "TEST")
        return Batch((data, np.stack(labels)[:, None].astype(np.float32), np.array(sizes, np.float32)[:, None, None]))

    def _changed(self, pair: Any, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, tuple]:
        """Return the image (C, H, W), its labels (H, W) and its original (height, width)."""
        image, original = self._read(pair, pair.path, cv2.IMREAD_COLOR if self._color else cv2.IMREAD_GRAYSCALE)
        labels = self._labels(pair, image.shape[:2])
        train = is_train(self.phase)
        if self._factors and train:
            factor = self._factors[rng.integers(len(self._factors))]
            image, labels = _scaled(image, labels, factor)
        if self._crop:
            crop = self._crop(*image.shape[:2]) if callable(self._crop) else self._crop
            image, labels = self._cropped(crop, image, labels, rng if train else None)
        if self._mirror and rng.integers(0, 2):
            image, labels = np.ascontiguousarray(image[:, ::-1]), labels[:, ::-1]
        return planar(image), labels, original

    def _read(self, pair, path, flags):
        try:
            image = read_image(self._root + path, flags)
        except ImageError as error:
            raise CaffeError(f"{self.db.source}:{pair.line}: {error}") from None
        original = image.shape[:2]
        if self._size is not None and original != self._size:
            nearest = flags == cv2.IMREAD_UNCHANGED
            mode = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
            image = cv2.resize(image, self._size[::-1], interpolation=mode)
        return image, original

    def _labels(self, pair, shape):
        if self._kind == "none":
            return np.full(shape, self._ignore, np.int32)
        if self._kind == "number":
            if not pair.label.lstrip("-").isdigit():
                raise CaffeError(f"{self.db.source}:{pair.line}: expected an integer label, received '{pair.label}'")
            return np.full(shape, int(pair.label), np.int32)
        labels, _ = self._read(pair, pair.label, cv2.IMREAD_UNCHANGED)
        if labels.ndim != 2 or labels.shape != shape:
            raise CaffeError(
                f"{self.db.source}:{pair.line}: the labels must be a gray image of {shape}, received {labels.shape}"
            )
        return labels.astype(np.int32)

    def _cropped(self, crop, image, labels, rng):
        height, width = crop
        below, right = max(height - image.shape[0], 0), max(width - image.shape[1], 0)
        if below or right:
            mean = self.transform.mean
            fill = [0] * 3 if mean is None else [float(value) for value in np.resize(mean, 3)]
            image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_CONSTANT, value=fill)
            labels = cv2.copyMakeBorder(labels, 0, below, 0, right, cv2.BORDER_CONSTANT, value=self._ignore)
        room = image.shape[0] - height, image.shape[1] - width
        top, left = (n // 2 for n in room) if rng is None else (int(rng.integers(n + 1)) for n in room)
        window = slice(top, top + height), slice(left, left + width)
        return np.ascontiguousarray(image[window]), labels[window]


def _scaled(image, labels, factor):
    size = max(int(image.shape[1] * factor), 1), max(int(image.shape[0] * factor), 1)
    resized = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    return resized, cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
