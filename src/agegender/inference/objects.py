"""Nets for detection and segmentation: boxes of objects, or a class per pixel. Device side: Python 3.7."""

from __future__ import annotations

import colorsys
import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from caffe.utils.atomic_io import atomic_write
from ncs import runtime
from ncs.errors import NcsError
from ncs.runtime.manifest import Manifest

DECODERS = ("detections", "mask")
THRESHOLD = 0.5


@dataclasses.dataclass
class DetectedObject:
    """One object: its class, its score, and its box (left, top, right, bottom) in pixels of the image."""

    label: str
    index: int
    score: float
    box: tuple


@dataclasses.dataclass
class ObjectResult:
    """What a net finds in one image.

    Attributes
    ----------
    path : str
        The image file; "" for an array.
    image : ndarray of uint8, (H, W, 3)
        BGR.
    objects : list of DetectedObject
        The best first; of a mask, none.
    mask : ndarray of int, (H, W), or None
        The class index of each pixel of the image.
    labels : list of str
        The class names.
    """

    path: str
    image: np.ndarray
    objects: list
    mask: Any
    labels: list

    def plot(self) -> np.ndarray:
        """Return a copy of the image with the boxes, or the classes in colours, drawn (uint8 BGR)."""
        from agegender.inference import annotate

        if self.mask is not None:
            colours = np.array([colour(index) for index in range(len(self.labels))], np.float32)
            return (0.5 * self.image + 0.5 * colours[self.mask]).astype(np.uint8)
        texts = [f"{found.label} {100 * found.score:.0f}%" for found in self.objects]
        return annotate.draw_boxes(self.image, self.objects, texts)

    def save(self, path: str) -> None:
        """Write `plot()` to an image file."""
        suffix = os.path.splitext(path)[1] or ".png"
        done, data = cv2.imencode(suffix, self.plot())
        if not done:
            raise NcsError(f"{path}: OpenCV cannot write {suffix}")
        with atomic_write(path) as temporary, open(temporary, "wb") as stream:
            stream.write(data.tobytes())

    def to_dict(self) -> dict:
        """Return the result as plain values."""
        if self.mask is None:
            objects = [{**dataclasses.asdict(found), "box": list(found.box)} for found in self.objects]
            return {"image": self.path, "objects": objects}
        counts = np.bincount(self.mask.ravel(), minlength=len(self.labels)) / self.mask.size
        return {"image": self.path, "classes": {self.labels[i]: float(counts[i]) for i in np.flatnonzero(counts)}}


def colour(index: int) -> tuple:
    """Return a BGR colour of a class; class 0 is black."""
    if index == 0:
        return (0.0, 0.0, 0.0)
    red, green, blue = colorsys.hsv_to_rgb((index * 0.381966) % 1, 0.9, 1.0)
    return (255 * blue, 255 * green, 255 * red)


def is_object_manifest(manifest: Manifest) -> bool:
    """Return whether the net's output is boxes or a mask."""
    return manifest.all_heads()[0].decoder in DECODERS


class ObjectPredictor:
    """Finds objects in images, or the class of each pixel.

    Parameters
    ----------
    manifest : Manifest
    device : str
        See `ncs.runtime.open_runner`.
    threshold : float
        The least score of an object.
    """

    def __init__(self, manifest: Manifest, device: str = "", threshold: float = THRESHOLD) -> None:
        head = manifest.all_heads()[0]
        if head.decoder not in DECODERS:
            raise NcsError(f"'{manifest.name}': expected decoder {' or '.join(DECODERS)}, received {head.decoder!r}")
        self.labels, self.decoder, self.threshold = list(head.labels), head.decoder, threshold
        self.transform, self.shape = manifest.transform, tuple(manifest.shape)
        if self.transform.size is None and self.transform.crop is None:
            self.transform = self.transform.replace(size=self.shape[2:])
        self.runner = runtime.open_runner(device, manifest)

    def __enter__(self) -> ObjectPredictor:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the device."""
        self.runner.close()

    def predict_array(self, image: np.ndarray, path: str = "") -> ObjectResult:
        """Return what the net finds in one image (uint8 BGR, H x W x 3)."""
        values = self._run(image)
        if self.decoder == "detections":
            objects = decode_detections(values.reshape(-1, 7), self.labels, image.shape[:2], self.threshold)
            return ObjectResult(path, image, objects, None, self.labels)
        mask = decode_mask(values, len(self.labels), self.shape[2:], image.shape[:2])
        return ObjectResult(path, image, [], mask, self.labels)

    def detections(self, image: np.ndarray) -> np.ndarray:
        """Return the rows (0, label, score, xmin, ymin, xmax, ymax; fractions) of all detections, of any score."""
        return _until_end(self._run(image).reshape(-1, 7))

    def _run(self, image):
        return np.asarray(self.runner.run(self.transform.batch([image])), np.float32)


def _until_end(rows):
    """Return DetectionOutput's rows up to an item or a label of -1."""
    ends = np.flatnonzero((rows[:, 0] < 0) | (rows[:, 1] < 0))
    return rows[: ends[0]] if len(ends) else rows


def decode_detections(rows: np.ndarray, labels: Sequence[str], size: tuple, threshold: float) -> list:
    """Return the objects of DetectionOutput's rows, the best first.

    Parameters
    ----------
    rows : ndarray (n, 7)
        (item, label, score, xmin, ymin, xmax, ymax) with corners as fractions; an item or a label of -1 ends the rows.
    labels : sequence of str
        The class names; a class beyond them has its number.
    size : (height, width)
        Of the image.
    threshold : float
        The least score.

    Returns
    -------
    list of DetectedObject
    """
    found = []
    rows = _until_end(rows)
    for _, label, score, *corners in rows[rows[:, 2] >= threshold]:
        places = np.clip(corners, 0, 1) * [size[1], size[0], size[1], size[0]]
        index = int(label)
        name = labels[index] if index < len(labels) else str(index)
        found.append(DetectedObject(name, index, float(score), tuple(int(v) for v in np.rint(places))))
    return sorted(found, key=lambda one: -one.score)


def decode_mask(values: np.ndarray, classes: int, shape: tuple, size: tuple) -> np.ndarray:
    """Return the class of each pixel of an image of `size` from scores (classes x H x W), H x W = `shape`."""
    best = values.reshape(classes, *shape).argmax(0).astype(np.int32)
    return cv2.resize(best, (size[1], size[0]), interpolation=cv2.INTER_NEAREST)
