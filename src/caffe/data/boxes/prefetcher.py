"""Batches of images with boxes for AnnotatedData."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np

from caffe.data.boxes import distort, geometry, noise, record, resize, sampling
from caffe.data.prefetcher import Batch, BatchPrefetcher
from caffe.device.transform import planar
from caffe.errors import CaffeError


class AnnotatedPrefetcher(BatchPrefetcher):
    """Endless iterator of (data float32 (N, C, H, W), boxes float32 (1, 1, n, 8)).

    A box is (item, label, instance, xmin, ymin, xmax, ymax, difficult). A batch without boxes has one row of -1. If
    `yolo` is set, the boxes are float32 (N, 1, 300, 5): class from 0, center x and y, width, height; unused rows are 0.

    Parameters
    ----------
    param : TransformationParameter
    samplers : sequence of BatchSampler
    yolo : AnnotatedDataParameter, optional
        MobileNet-YOLO's labels and jitter.
    """

    param: Any = None
    samplers: Sequence[Any] = ()
    yolo: Any = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape (N, C, H, W) of the batches, from the first record."""
        key, value = next(self.db.at(0))
        image, boxes = self._decode(key, value)
        changed, _ = self._changed(image, boxes, np.random.default_rng(0))
        return (self.batch_size, *changed.shape)

    def _decode(self, key: bytes, value: bytes) -> tuple[np.ndarray, Any]:
        try:
            return record.decode(value, **self._force)
        except CaffeError as error:
            name = key.decode("utf-8", "replace")
            raise CaffeError(f"database '{self.db.source}', record '{name}': {error}") from None

    def _batch(self, records: Iterator, position: int, reusable: Batch | None) -> Batch:
        rng = self._own_generator(position)
        images, rows = [], []
        for item in range(self.batch_size):
            image, boxes = self._changed(*self._decode(*next(records)), rng)
            images.append(image)
            rows.append(np.concatenate([np.full((len(boxes), 1), item, np.float32), boxes], axis=1))
        plain = self.transform.replace(crop=None, mirror=False)
        try:
            data = plain.planes(images, "TEST")
        except CaffeError as error:
            raise CaffeError(f"database '{self.db.source}': {error}") from None
        if self.yolo is not None:
            return Batch((data, _yolo_labels(rows, self.yolo.train_diffcult)))
        found = np.concatenate(rows)
        labels = found if len(found) else np.full((1, 8), -1, np.float32)
        return Batch((data, labels[None, None]))

    def _changed(
        self, planes: np.ndarray, boxes: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the image (C, H, W) and its boxes after all random and fixed changes."""
        image, p = cv2.merge(list(planes)) if len(planes) > 1 else planes[0], self.param
        if p.HasField("distort_param"):
            image = distort.distort(image, p.distort_param, rng)
        if p.HasField("expand_param"):
            image, window = distort.expand(image, p.expand_param, self.transform.mean, rng)
            boxes = geometry.project(window, boxes, self._emit)
        found = sampling.windows(self.samplers, boxes[:, record.CORNERS], rng)
        if self.yolo is not None and not len(self.samplers) and self.phase == 0:
            found = [_jittered(self.yolo.yolo_data_jitter, self._keeps_ratio, rng)]
        if found:
            image, boxes = self._cropped(image, boxes, found[rng.integers(len(found))])
        for param in p.resize_param:
            image, boxes = resize.resize(image, boxes, param, rng)
        for param in p.noise_param:
            image = noise.apply(image, param, rng)
        image, boxes = self._crop_size(image, boxes, rng)
        boxes = geometry.project(geometry.UNIT, boxes, self._emit)
        if self.transform.mirror and rng.integers(0, 2):
            image, boxes = np.ascontiguousarray(image[:, ::-1]), geometry.mirrored(boxes)
        return planar(image), boxes

    @property
    def _keeps_ratio(self) -> bool:
        """Whether the image is resized without distortion, which the jitter then does not cause either."""
        return any(p.resize_mode == p.FIT_LARGE_SIZE_AND_PAD for p in self.param.resize_param)

    @property
    def _emit(self) -> Any:
        return self.param.emit_constraint if self.param.HasField("emit_constraint") else None

    def _cropped(self, image, boxes, window):
        """Return the part of the image in `window`, and the boxes in it."""
        window = np.clip(window, 0, 1)
        height, width = image.shape[:2]
        left, top = int(window[0] * width), int(window[1] * height)
        columns, rows = int((window[2] - window[0]) * width), int((window[3] - window[1]) * height)
        part = image[top : top + max(rows, 1), left : left + max(columns, 1)]
        return np.ascontiguousarray(part), geometry.project(window, boxes, self._emit)

    def _crop_size(self, image, boxes, rng):
        """Crop to crop_size (or crop_h x crop_w): at random in TRAIN, at the center in TEST."""
        p = self.param
        rows, columns = (p.crop_size, p.crop_size) if p.crop_size else (p.crop_h, p.crop_w)
        if not rows or not columns:
            return image, boxes
        height, width = image.shape[:2]
        if height < rows or width < columns:
            raise CaffeError(f"crop {rows}x{columns} is larger than the image, {height}x{width}")
        top, left = (height - rows) // 2, (width - columns) // 2
        if self.phase == 0:
            top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
        window = np.array([left / width, top / height, (left + columns) / width, (top + rows) / height], np.float32)
        part = np.ascontiguousarray(image[top : top + rows, left : left + columns])
        return part, geometry.project(window, boxes, self._emit)


def _yolo_labels(rows, difficult):
    """Return the boxes of each item as MobileNet-YOLO's labels, without difficult ones unless `difficult`."""
    labels = np.zeros((len(rows), 1, 300, 5), np.float32)
    for item, boxes in enumerate(rows):
        kept = boxes[(boxes[:, 7] == 0) | difficult][:300]
        low, high = kept[:, 3:5], kept[:, 5:7]
        labels[item, 0, : len(kept)] = np.concatenate([kept[:, 1:2] - 1, (low + high) / 2, high - low], axis=1)
    return labels


def _jittered(jitter, keep_ratio, rng):
    """Return a random window with sides of at least 1 - jitter; for every fifth image the whole, or half the jitter."""
    change = rng.choice(3, p=(0.2, 0.2, 0.6))
    if not change:
        return np.array([0, 0, 1, 1], np.float32)
    sides = rng.uniform(1 - jitter / (2 if change == 1 else 1), 1, 2)
    if keep_ratio:
        sides[1] = sides[0]
    start = rng.uniform(0, 1 - sides)
    return np.concatenate([start, start + sides]).astype(np.float32)
