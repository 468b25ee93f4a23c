"""Augment: random changes of training pictures, as `transform_param { augment { ... } }` asks for them.

Caffe itself crops and mirrors. What is added here happens to bytes 0..255, before the mean is taken away, in the feed's
thread; all that is random is drawn for a whole batch at once, so that a resumed run sees the same pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from caffe.device.transform import Transform
from caffe.errors import CaffeError

LUMA = np.array([0.114, 0.587, 0.299], np.float32)  # of blue, green, red
BLUR = (0.35, 0.8)  # the smaller resolution, as a share of the crop's
ERASED_AREA, ERASED_RATIO = (0.02, 0.4), (0.3, 1 / 0.3)  # Zhong et al. 2017
_SHARES = ("gray", "blur", "erase")
_SPANS = ("rotate", "scale", "shift", "brightness", "contrast", "saturation", "noise", "mixup")


class Augment:
    """The changes that one data layer makes in TRAIN; `param` is an AugmentParameter or anything with its fields."""

    def __init__(self, param: Any) -> None:
        self.p = param
        wrong = [name for name in _SPANS if getattr(param, name) < 0]
        wrong += [name for name in (*_SHARES, "scale", "shift") if not 0 <= getattr(param, name) <= 1]
        if wrong:
            received = ", ".join(f"{name} {getattr(param, name):g}" for name in dict.fromkeys(wrong))
            raise CaffeError(
                "augment: received {}; {}, scale and shift lie in 0..1, nothing is negative".format(
                    received, ", ".join(_SHARES)
                )
            )

    def views(
        self,
        pictures: list[np.ndarray],
        labels: Sequence[np.ndarray],
        transform: Transform,
        rng: np.random.Generator,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """uint8 planes (C, H, W) of one size -> float32 (N, C, h, w), cropped as `transform` does in TRAIN, and changed.

        `labels` ((N,) arrays) are changed in place where pictures are mixed.
        """
        self._check(pictures)
        shape = pictures[0].shape
        side = transform.output_shape(shape)[1:]
        steps: list[Callable[[int, np.ndarray], np.ndarray]] = [
            RandomAffine(self.p, transform, shape, len(pictures), rng),
            LowResolution(self.p, side, len(pictures), rng),
            ColorJitter(self.p, shape[0], len(pictures), rng),
            Noise(self.p, rng),
            RandomErasing(self.p, side, len(pictures), rng),
        ]
        views = np.empty((len(pictures), shape[0], *side), np.uint8)
        for index, planes in enumerate(pictures):
            picture = cv2.merge(list(planes)) if len(planes) > 1 else planes[0]
            for step in steps:
                picture = step(index, picture)
            cv2.split(picture, list(views[index]))
        out = transform.finished(views, shape, out)
        if self.p.mixup:
            mix(self.p.mixup, out, labels, rng)
        return out

    @staticmethod
    def _check(pictures: list[np.ndarray]) -> None:
        kinds = {(picture.shape, str(picture.dtype)) for picture in pictures}
        if len(kinds) > 1 or pictures[0].dtype != np.uint8 or pictures[0].shape[0] not in (1, 3):
            raise CaffeError(
                "augment changes pictures of bytes, all of one size, with 1 or 3 channels; received {}".format(
                    ", ".join("{} {}".format(*kind) for kind in sorted(kinds))
                )
            )


def augment_of(param: Any) -> Augment | None:
    """The Augment of a layer's transform_param, None where it asks for nothing."""
    return Augment(param.augment) if param.HasField("augment") else None


def spread(rng: np.random.Generator, reach: float, count: int) -> np.ndarray:
    """`count` values, uniform in -reach..reach."""
    return rng.uniform(-reach, reach, count)


def chosen(rng: np.random.Generator, probability: float, count: int) -> np.ndarray:
    """Which of `count` pictures are met, each with `probability`."""
    return rng.random(count) < probability


class RandomAffine:
    """Crop and mirror as Caffe draws them, with a rotation, a change of size and a shift about the crop's middle."""

    def __init__(self, p: Any, transform: Transform, shape: tuple, count: int, rng: np.random.Generator) -> None:
        self.height, self.width = transform.output_shape(shape)[1:]
        room = np.array([shape[1] - self.height + 1, shape[2] - self.width + 1])
        self.places = rng.integers(0, room, (count, 2))
        self.flips = rng.integers(0, 2, count) if transform.mirror else np.zeros(count, int)
        self.plain = not (p.rotate or p.scale or p.shift)
        angles = np.deg2rad(spread(rng, p.rotate, count))
        zooms = 1 + spread(rng, p.scale, count)
        self.turns = np.stack([zooms * np.cos(angles), zooms * np.sin(angles)], 1)
        self.shifts = np.stack([spread(rng, p.shift * self.width, count), spread(rng, p.shift * self.height, count)], 1)

    def __call__(self, index: int, picture: np.ndarray) -> np.ndarray:
        top, left = self.places[index]
        if self.plain:
            view = picture[top : top + self.height, left : left + self.width]
            return (view[:, ::-1] if self.flips[index] else view).copy()
        return cv2.warpAffine(
            picture, self._matrix(index, top, left), (self.width, self.height), borderMode=cv2.BORDER_REFLECT_101
        )

    def _matrix(self, index: int, top: int, left: int) -> np.ndarray:
        """From places in the picture to places in the view: turned about the middle of the crop."""
        middle = np.array([(self.width - 1) / 2, (self.height - 1) / 2])
        cosine, sine = self.turns[index]
        turn = np.array([[cosine, sine], [-sine, cosine]])
        offset = middle + self.shifts[index] - turn @ (middle + (left, top))
        matrix = np.column_stack([turn, offset])
        if self.flips[index]:
            matrix[0] = -matrix[0]
            matrix[0, 2] += self.width - 1
        return matrix


class LowResolution:
    """Some pictures as if they had been taken at a lower resolution."""

    def __init__(self, p: Any, side: tuple, count: int, rng: np.random.Generator) -> None:
        self.side = side
        self.chosen = chosen(rng, p.blur, count)
        self.factors = rng.uniform(*BLUR, count)

    def __call__(self, index: int, picture: np.ndarray) -> np.ndarray:
        if not self.chosen[index]:
            return picture
        small = [max(1, int(length * self.factors[index])) for length in self.side]
        shrunk = cv2.resize(picture, small[::-1], interpolation=cv2.INTER_AREA)
        return cv2.resize(shrunk, self.side[::-1], interpolation=cv2.INTER_LINEAR)


class ColorJitter:
    """Contrast about the picture's own mean, saturation about its grey, brightness; some pictures wholly grey."""

    def __init__(self, p: Any, channels: int, count: int, rng: np.random.Generator) -> None:
        self.used = bool(p.brightness or p.contrast or p.saturation or p.gray)
        contrast, saturation = 1 + spread(rng, p.contrast, count), 1 + spread(rng, p.saturation, count)
        saturation[chosen(rng, p.gray, count)] = 0
        self.contrast, self.brightness = contrast, 255 * spread(rng, p.brightness, count)
        luma = LUMA if channels == 3 else np.ones(1, np.float32)
        grey = np.tile(luma, (channels, 1))
        kept = saturation[:, None, None] * np.eye(channels) + (1 - saturation)[:, None, None] * grey
        self.luma, self.matrices = luma, contrast[:, None, None] * kept

    def __call__(self, index: int, picture: np.ndarray) -> np.ndarray:
        if not self.used:
            return picture
        mean = float(np.dot(cv2.mean(picture)[: len(self.luma)], self.luma))
        offset = (1 - self.contrast[index]) * mean + self.brightness[index]
        matrix = np.column_stack([self.matrices[index], np.full(len(self.luma), offset)])
        return cv2.transform(picture, matrix)  # rounds, and keeps to 0..255


class Noise:
    """Gaussian noise, of a strength drawn for each picture."""

    def __init__(self, p: Any, rng: np.random.Generator) -> None:
        self.most, self.rng = p.noise, rng

    def __call__(self, index: int, picture: np.ndarray) -> np.ndarray:
        if not self.most:
            return picture
        noise = self.rng.standard_normal(picture.shape, np.float32) * np.float32(self.rng.uniform(0, self.most))
        return cv2.add(picture, noise, dtype=cv2.CV_8U)


class RandomErasing:
    """A rectangle of one random grey over some pictures (Zhong et al. 2017, Random Erasing Data Augmentation)."""

    def __init__(self, p: Any, side: tuple, count: int, rng: np.random.Generator) -> None:
        self.chosen = chosen(rng, p.erase, count)
        area = rng.uniform(*ERASED_AREA, count) * side[0] * side[1]
        ratio = np.exp(rng.uniform(np.log(ERASED_RATIO[0]), np.log(ERASED_RATIO[1]), count))
        self.sizes = np.stack(
            [np.minimum(np.sqrt(area * ratio), side[0]), np.minimum(np.sqrt(area / ratio), side[1])], 1
        )
        self.sizes = self.sizes.astype(int)
        self.places = rng.integers(0, np.array(side) - self.sizes + 1)
        self.greys = rng.integers(0, 256, count)

    def __call__(self, index: int, picture: np.ndarray) -> np.ndarray:
        if self.chosen[index]:
            (top, left), (height, width) = self.places[index], self.sizes[index]
            picture[top : top + height, left : left + width] = self.greys[index]
        return picture


def mix(alpha: float, pictures: np.ndarray, labels: Sequence[np.ndarray], rng: np.random.Generator) -> None:
    """Mixup (Zhang et al. 2018) in place: share * picture + (1 - share) * another one of the batch, share ~ Beta(alpha, alpha).

    A mixed picture takes the other's labels with probability 1 - share. Over the draws that is mixup's loss, and every loss
    layer of Caffe can be used with it.
    """
    count = len(pictures)
    share = rng.beta(alpha, alpha, count).astype(np.float32)
    others = rng.permutation(count)
    taken = rng.random(count) >= share
    share = share[:, None, None, None]
    mixed = pictures[others]
    mixed -= pictures
    mixed *= 1 - share
    pictures += mixed
    for values in labels:
        values[taken] = values[others][taken]
