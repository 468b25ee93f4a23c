"""Data augmentation for training, configured by `transform_param { augment { ... } }`.

Caffe itself only crops and mirrors. These augmentations work on bytes (0..255) before the mean is subtracted, in the
prefetch thread. Random numbers are drawn per batch, so that a resumed run sees the same images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from caffe.device.transform import Transform
from caffe.errors import CaffeError

LUMA = np.array([0.114, 0.587, 0.299], np.float32)  # weights of B, G, R
BLUR = (0.35, 0.8)  # reduced resolution as a fraction of the crop's
JPEG_QUALITY = (15, 70)
ERASED_AREA, ERASED_RATIO = (0.02, 0.4), (0.3, 1 / 0.3)  # Zhong et al. 2017
_PROBABILITIES = ("gray", "blur", "erase", "compress")
_RANGES = ("rotate", "scale", "shift", "brightness", "contrast", "saturation", "noise", "mixup", "light")


class Augment:
    """Augmentation of one data layer in phase TRAIN; `param` is an AugmentParameter or an object with its fields."""

    def __init__(self, param: Any) -> None:
        self.p = param
        invalid = [name for name in _RANGES if getattr(param, name) < 0]
        invalid += [name for name in (*_PROBABILITIES, "scale", "shift") if not 0 <= getattr(param, name) <= 1]
        if invalid:
            received = ", ".join(f"{name} {getattr(param, name):g}" for name in dict.fromkeys(invalid))
            bounded = ", ".join(_PROBABILITIES)
            raise CaffeError(
                f"augment: received {received}; {bounded}, scale and shift must be in 0..1, no value may be negative"
            )

    def apply(
        self,
        images: list[np.ndarray],
        labels: Sequence[np.ndarray],
        transform: Transform,
        rng: np.random.Generator,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Crop, mirror and augment a batch of images, then subtract the mean and scale.

        Parameters
        ----------
        images : list of N uint8 arrays (C, H, W)
            All of the same size.
        labels : sequence of arrays (N,)
            Changed in place by mixup.
        transform : Transform
            Crop size, mirror, mean and scale.
        rng : numpy Generator
        out : float32 array (N, C, h, w), optional

        Returns
        -------
        ndarray (N, C, h, w) of float32
        """
        self._check(images)
        shape = images[0].shape
        size = transform.output_shape(shape)[1:]
        steps: list[Callable[[int, np.ndarray], np.ndarray]] = [
            RandomAffine(self.p, transform, shape, len(images), rng),
            LowResolution(self.p, size, len(images), rng),
            ColorJitter(self.p, shape[0], len(images), rng),
            Noise(self.p, rng),
            RandomErasing(self.p, size, len(images), rng),
        ]
        steps.insert(2, Illumination(self.p, size, len(images), rng))  # later draws: the others stay as they were
        steps.insert(-1, Compression(self.p, len(images), rng))
        augmented = np.empty((len(images), shape[0], *size), np.uint8)
        for index, planes in enumerate(images):
            image = cv2.merge(list(planes)) if len(planes) > 1 else planes[0]
            for step in steps:
                image = step(index, image)
            cv2.split(image, list(augmented[index]))
        out = transform.normalize(augmented, shape, out)
        if self.p.mixup:
            mixup(self.p.mixup, out, labels, rng)
        return out

    @staticmethod
    def _check(images: list[np.ndarray]) -> None:
        formats = {(image.shape, str(image.dtype)) for image in images}
        if len(formats) > 1 or images[0].dtype != np.uint8 or images[0].shape[0] not in (1, 3):
            received = ", ".join(f"{shape} {dtype}" for shape, dtype in sorted(formats))
            raise CaffeError(
                f"augment: expected uint8 images of the same size with 1 or 3 channels, received {received}"
            )


def augment_of(param: Any) -> Augment | None:
    """Return the Augment of a layer's transform_param, or None if it has none."""
    return Augment(param.augment) if param.HasField("augment") else None


def uniform(rng: np.random.Generator, limit: float, count: int) -> np.ndarray:
    """Draw `count` values uniformly from -limit..limit."""
    return rng.uniform(-limit, limit, count)


def bernoulli(rng: np.random.Generator, probability: float, count: int) -> np.ndarray:
    """Draw `count` booleans that are true with `probability`."""
    return rng.random(count) < probability


class RandomAffine:
    """Random crop and mirror as in Caffe, with rotation, scale and shift about the crop's centre."""

    def __init__(self, p: Any, transform: Transform, shape: tuple, count: int, rng: np.random.Generator) -> None:
        self.height, self.width = transform.output_shape(shape)[1:]
        max_offsets = np.array([shape[1] - self.height + 1, shape[2] - self.width + 1])
        self.offsets = rng.integers(0, max_offsets, (count, 2))
        self.flips = rng.integers(0, 2, count) if transform.mirror else np.zeros(count, int)
        self.crop_only = not (p.rotate or p.scale or p.shift)
        angles = np.deg2rad(uniform(rng, p.rotate, count))
        scales = 1 + uniform(rng, p.scale, count)
        self.rotations = np.stack([scales * np.cos(angles), scales * np.sin(angles)], 1)
        self.shifts = np.stack(
            [uniform(rng, p.shift * self.width, count), uniform(rng, p.shift * self.height, count)], 1
        )

    def __call__(self, index: int, image: np.ndarray) -> np.ndarray:
        top, left = self.offsets[index]
        if self.crop_only:
            crop = image[top : top + self.height, left : left + self.width]
            return (crop[:, ::-1] if self.flips[index] else crop).copy()
        return cv2.warpAffine(
            image, self._matrix(index, top, left), (self.width, self.height), borderMode=cv2.BORDER_REFLECT_101
        )

    def _matrix(self, index: int, top: int, left: int) -> np.ndarray:
        """Return the 2 x 3 matrix from image to crop coordinates: a rotation about the crop's centre, then a shift."""
        center = np.array([(self.width - 1) / 2, (self.height - 1) / 2])
        cosine, sine = self.rotations[index]
        rotation = np.array([[cosine, sine], [-sine, cosine]])
        offset = center + self.shifts[index] - rotation @ (center + (left, top))
        matrix = np.column_stack([rotation, offset])
        if self.flips[index]:
            matrix[0] = -matrix[0]
            matrix[0, 2] += self.width - 1
        return matrix


class LowResolution:
    """Reduce the resolution of some images."""

    def __init__(self, p: Any, size: tuple, count: int, rng: np.random.Generator) -> None:
        self.size = size
        self.selected = bernoulli(rng, p.blur, count)
        self.factors = rng.uniform(*BLUR, count)

    def __call__(self, index: int, image: np.ndarray) -> np.ndarray:
        if not self.selected[index]:
            return image
        low_size = [max(1, int(length * self.factors[index])) for length in self.size]
        low = cv2.resize(image, low_size[::-1], interpolation=cv2.INTER_AREA)
        return cv2.resize(low, self.size[::-1], interpolation=cv2.INTER_LINEAR)


class ColorJitter:
    """Change contrast (about the image mean), saturation and brightness; convert some images to grey."""

    def __init__(self, p: Any, channels: int, count: int, rng: np.random.Generator) -> None:
        self.enabled = bool(p.brightness or p.contrast or p.saturation or p.gray)
        contrast, saturation = 1 + uniform(rng, p.contrast, count), 1 + uniform(rng, p.saturation, count)
        saturation[bernoulli(rng, p.gray, count)] = 0
        self.contrast, self.brightness = contrast, 255 * uniform(rng, p.brightness, count)
        luma = LUMA if channels == 3 else np.ones(1, np.float32)
        grey = np.tile(luma, (channels, 1))
        color = saturation[:, None, None] * np.eye(channels) + (1 - saturation)[:, None, None] * grey
        self.luma, self.matrices = luma, contrast[:, None, None] * color

    def __call__(self, index: int, image: np.ndarray) -> np.ndarray:
        if not self.enabled:
            return image
        mean = float(np.dot(cv2.mean(image)[: len(self.luma)], self.luma))
        offset = (1 - self.contrast[index]) * mean + self.brightness[index]
        matrix = np.column_stack([self.matrices[index], np.full(len(self.luma), offset)])
        return cv2.transform(image, matrix)  # rounds and saturates to 0..255


class Illumination:
    """Change gamma, and light the image from one side."""

    def __init__(self, p: Any, size: tuple, count: int, rng: np.random.Generator) -> None:
        self.enabled = bool(p.light)
        if not self.enabled:
            return
        self.gammas = np.exp(uniform(rng, p.light, count))
        angles = rng.uniform(0, 2 * np.pi, count)
        self.directions = rng.uniform(0, p.light, count)[:, None] * np.stack([np.sin(angles), np.cos(angles)], 1)
        self.rows = np.linspace(-1, 1, size[0], dtype=np.float32)[:, None]
        self.columns = np.linspace(-1, 1, size[1], dtype=np.float32)

    def __call__(self, index: int, image: np.ndarray) -> np.ndarray:
        if not self.enabled:
            return image
        curve = 255 * (np.arange(256) / 255) ** self.gammas[index]
        down, right = self.directions[index].astype(np.float32)
        channels = 1 if image.ndim == 2 else image.shape[2]
        light = (1 + down * self.rows) + np.repeat(right * self.columns, channels)
        lit = cv2.LUT(image, curve.astype(np.float32))
        return cv2.multiply(lit, light.reshape(image.shape), dtype=cv2.CV_8U)


class Compression:
    """Compress some images as JPEG, as photographs on the web are."""

    def __init__(self, p: Any, count: int, rng: np.random.Generator) -> None:
        if p.compress:
            self.selected = bernoulli(rng, p.compress, count)
            self.qualities = rng.integers(*JPEG_QUALITY, count)
        else:
            self.selected = np.zeros(count, bool)

    def __call__(self, index: int, image: np.ndarray) -> np.ndarray:
        if not self.selected[index]:
            return image
        _, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, int(self.qualities[index])))
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))


class Noise:
    """Add Gaussian noise; its standard deviation is drawn per image."""

    def __init__(self, p: Any, rng: np.random.Generator) -> None:
        self.max_std, self.rng = p.noise, rng

    def __call__(self, index: int, image: np.ndarray) -> np.ndarray:
        if not self.max_std:
            return image
        noise = self.rng.standard_normal(image.shape, np.float32) * np.float32(self.rng.uniform(0, self.max_std))
        return cv2.add(image, noise, dtype=cv2.CV_8U)


class RandomErasing:
    """Fill a random rectangle of some images with a random grey (Zhong et al. 2017, Random Erasing)."""

    def __init__(self, p: Any, size: tuple, count: int, rng: np.random.Generator) -> None:
        self.selected = bernoulli(rng, p.erase, count)
        area = rng.uniform(*ERASED_AREA, count) * size[0] * size[1]
        ratio = np.exp(rng.uniform(np.log(ERASED_RATIO[0]), np.log(ERASED_RATIO[1]), count))
        heights, widths = np.minimum(np.sqrt(area * ratio), size[0]), np.minimum(np.sqrt(area / ratio), size[1])
        self.sizes = np.stack([heights, widths], 1).astype(int)
        self.offsets = rng.integers(0, np.array(size) - self.sizes + 1)
        self.greys = rng.integers(0, 256, count)

    def __call__(self, index: int, image: np.ndarray) -> np.ndarray:
        if self.selected[index]:
            (top, left), (height, width) = self.offsets[index], self.sizes[index]
            image[top : top + height, left : left + width] = self.greys[index]
        return image


def mixup(alpha: float, images: np.ndarray, labels: Sequence[np.ndarray], rng: np.random.Generator) -> None:
    """Apply mixup in place (Zhang et al. 2018): weight * image + (1 - weight) * another image of the batch.

    The weights are drawn from Beta(alpha, alpha). Instead of mixing losses, an image takes the labels of the other one
    with probability 1 - weight; the expected loss is that of mixup, and every loss layer of Caffe can be used.
    """
    count = len(images)
    weight = rng.beta(alpha, alpha, count).astype(np.float32)
    others = rng.permutation(count)
    swapped = rng.random(count) >= weight
    weight = weight[:, None, None, None]
    difference = images[others]
    difference -= images
    difference *= 1 - weight
    images += difference
    for values in labels:
        values[swapped] = values[others][swapped]
