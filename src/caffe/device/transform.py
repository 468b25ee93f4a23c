"""Transform: the only road from an image to a `data` blob, for training, testing, export and the device.

Caffe's rule (data_transformer.cpp) in float32: (pixel - mean at the same place of the picture) * scale,
so the mean is taken at the crop's offset; then the mirror. It ships to a board: numpy and OpenCV only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from caffe.data import transform_validation
from caffe.data.transform_validation import FIELDS, what
from caffe.device import resample
from caffe.errors import CaffeError
from caffe.utils.atomic_io import write_bytes

TRAIN, TEST = "TRAIN", "TEST"
_SMALL = 1 << 14


class Transform:
    """How a picture becomes a blob, and all of it.

    order     "BGR" (Caffe, OpenCV) or "RGB": the net's channels as trained; the mean is in this order too
    size      (height, width) to which pictures are resized, bilinear, ignoring their aspect; None keeps them
    crop      side of the square cut out of the resized picture: random in TRAIN, the centre in TEST; or None
    mean      None, one value a channel, or a (C, H, W) array as large as the picture before the crop
    mean_fit  "exact": a mean of another size is refused, as Caffe's layers do; "resize": it is brought to the
              picture's size as later pycaffe did (a 256x256 mean on a 227x227 net)
    scale     factor after the mean, e.g. 1/255
    mirror    flip half of the pictures, in both phases as Caffe does; `image` and `batch` never flip
    gray      one channel instead of three
    margin    share of a face's box to add on each side before the face is cut out of a photograph: it belongs
              to what was trained, so it is kept here; who cuts applies it
    shrink    how a picture larger than `size` is brought to it: "linear" as Caffe, which looks at four pixels
              only, or "area", which averages all of them
    landmarks where the left and right eye, the nose and the left and right corner of the mouth lie in the aligned
              faces of the training: five (x, y), shares of width and height; or None. Kept here as the margin is
    """

    def __init__(
        self,
        order: str = "BGR",
        size: Any = None,
        crop: int | None = None,
        mean: Any = None,
        mean_fit: str = "exact",
        scale: float = 1.0,
        mirror: bool = False,
        gray: bool = False,
        margin: float = 0.0,
        shrink: str = "linear",
        landmarks: Any = None,
    ) -> None:
        faults: list[str] = []
        self.order = transform_validation.choice("order", order, ("BGR", "RGB"), faults)
        self.size = transform_validation.size(size, faults)
        self.crop = transform_validation.crop(crop, self.size, faults)
        self.mean = transform_validation.mean(mean, faults)
        self.mean_fit = transform_validation.choice("mean_fit", mean_fit, ("exact", "resize"), faults)
        self.scale = transform_validation.number("scale", scale, -np.inf, faults)
        self.mirror, self.gray = bool(mirror), bool(gray)
        self.margin = transform_validation.number("margin", margin, 0.0, faults)
        self.shrink = transform_validation.choice("shrink", shrink, ("linear", "area"), faults)
        self.landmarks = transform_validation.landmarks(landmarks, faults)
        self._fitted: dict[tuple[int, int], np.ndarray] = {}
        if faults:
            raise CaffeError("Transform: " + "; ".join(faults))

    @classmethod
    def from_caffe(cls, param: Any, mean: Any = None, **more: Any) -> Transform:
        """From a TransformationParameter or anything with its fields; `mean` is what its mean_file holds."""
        values = list(param.mean_value)
        if param.mean_file and values:
            raise CaffeError("transform_param: mean_file and mean_value exclude each other")
        if param.mean_file and mean is None:
            raise CaffeError(f"transform_param: the mean of mean_file '{param.mean_file}' was not read")
        if values:
            mean = values
        return cls(crop=param.crop_size or None, mean=mean, scale=param.scale, mirror=param.mirror, **more)

    def replace(self, **changes: Any) -> Transform:
        """The same with some fields changed."""
        return Transform(**dict(self._fields(), **changes))

    def _fields(self) -> dict:
        return {name: getattr(self, name) for name in FIELDS}

    def __eq__(self, other):
        if not isinstance(other, Transform):
            return NotImplemented
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in FIELDS)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self):
        fields = self._fields()
        if self.mean is not None:
            values = self.mean.ndim == 1
            fields["mean"] = self.mean.tolist() if values else "array of %dx%dx%d" % self.mean.shape
        return "Transform({})".format(", ".join("{}={!r}".format(*item) for item in fields.items()))

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """(C, H, W) of what `image` makes, or None when it depends on the picture."""
        side = (self.crop, self.crop) if self.crop else self.size
        return (1 if self.gray else 3, *side) if side else None

    # ---- pictures as cv2.imread gives them

    def image(self, picture: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """uint8 (H, W, 3) blue first, (H, W, 4) or (H, W) -> float32 (C, H, W): the TEST view."""
        planes = self.resized(picture)
        outs = None if out is None else out[None]
        return self._views(planes[None], [self._centre(planes.shape)], None, outs)[0]

    def batch(self, pictures: Sequence[np.ndarray], out: np.ndarray | None = None) -> np.ndarray:
        """Pictures -> float32 (N, C, H, W); without size and crop they must be equally large."""
        if not len(pictures):
            raise CaffeError("no pictures to make a batch of")
        first = self.image(pictures[0])
        if out is None:
            out = np.empty((len(pictures), *first.shape), np.float32)
        out[0] = first
        for index in range(1, len(pictures)):
            try:
                self.image(pictures[index], out[index])
            except ValueError:
                raise CaffeError(
                    "picture %d has another size than the first, whose blob is %s; set size or crop"
                    % (index, out.shape[1:])
                ) from None
        return out

    def oversample(self, picture: np.ndarray) -> np.ndarray:
        """Ten views, float32 (10, C, crop, crop), in pycaffe's order.

        Top left, top right, bottom left, bottom right, centre, then the same five flipped.
        """
        planes = self.resized(picture)
        if self.crop is None:
            raise CaffeError("ten views need a crop smaller than the picture; this Transform has none")
        _, height, width = planes.shape
        low, right = height - self.crop, width - self.crop
        places = [(0, 0), (0, right), (low, 0), (low, right), self._centre(planes.shape)]
        self._check(planes.shape)
        views = self._views([planes] * 5, places, None)
        return np.concatenate([views, views[..., ::-1]])

    def resized(self, picture: np.ndarray) -> np.ndarray:
        """uint8 (C, H, W) in `order` and `size`: what a record of convert_imageset holds."""
        picture = self._channels(picture)
        if self.size is not None and picture.shape[:2] != self.size:
            smaller = picture.shape[0] >= self.size[0] and picture.shape[1] >= self.size[1]
            how = cv2.INTER_AREA if self.shrink == "area" and smaller else cv2.INTER_LINEAR
            picture = cv2.resize(picture, self.size[::-1], interpolation=how)
        planes = planar(picture)
        return planes[::-1] if self.order == "RGB" and len(planes) == 3 else planes

    def _channels(self, picture: np.ndarray) -> np.ndarray:
        if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.ndim not in (2, 3):
            raise CaffeError(
                f"a picture is a uint8 array (H, W), (H, W, 3) or (H, W, 4) as cv2.imread gives, received {what(picture)}"
            )
        channels = 1 if picture.ndim == 2 else picture.shape[2]
        if channels not in (1, 3, 4) or not picture.size:
            raise CaffeError(f"a picture has 1, 3 or 4 channels and pixels, received {picture.shape}")
        if self.gray:
            codes = {3: cv2.COLOR_BGR2GRAY, 4: cv2.COLOR_BGRA2GRAY}
            plain = channels == 1
            return picture.reshape(picture.shape[:2]) if plain else cv2.cvtColor(picture, codes[channels])
        if channels == 1:
            return cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
        return picture[..., :3]

    # ---- planes as a database holds them

    def planes(
        self,
        pictures: np.ndarray | list[np.ndarray],
        phase: str | int = TEST,
        rng: np.random.Generator | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """(C, H, W), (N, C, H, W) or a list of (C, H, W), uint8 or float, in `order` -> float32, cropped.

        TRAIN cuts at random offsets 0..H-crop and 0..W-crop, TEST at the centre; `mirror` flips half of them
        in either phase. Both draw from `rng`; TEST without one never flips.
        """
        if isinstance(pictures, np.ndarray) and pictures.ndim == 3:
            return self.planes(pictures[None], phase, rng, None if out is None else out[None])[0]
        for picture in pictures if isinstance(pictures, list) else pictures[:1]:
            self._check(picture.shape)
        if isinstance(pictures, list) and pictures[0].size < _SMALL and len({p.shape for p in pictures}) == 1:
            pictures = np.stack(pictures)  # then one operation does them all
        train = is_train(phase)
        if rng is None and train and (self.mirror or self.crop):
            raise CaffeError("TRAIN with crop or mirror draws at random and needs an rng")
        flips = rng.integers(0, 2, len(pictures)) if self.mirror and rng is not None else None
        places = [self._centre(picture.shape) for picture in pictures]
        if self.crop and train and rng is not None:
            room = np.array([picture.shape[1:] for picture in pictures]) - self.crop + 1
            places = list(map(tuple, rng.integers(0, room)))
        return self._views(pictures, places, flips, out)

    def finished(self, views: np.ndarray, shape: tuple[int, int, int], out: np.ndarray | None = None) -> np.ndarray:
        """Mean and scale for uint8 views (N, C, h, w) already cut, somehow, out of pictures of `shape`: float32.

        A mean of each pixel is taken at the centre, since a turned view has no place of its own.
        """
        if out is None:
            out = np.empty(views.shape, np.float32)
        mean = self._mean_for(shape)
        if mean is not None and mean.shape[1:] != (1, 1):
            top, left = self._centre(shape)
            mean = mean[:, top : top + views.shape[2], left : left + views.shape[3]]
        np.subtract(views, np.float32(0) if mean is None else mean, out=out, dtype=np.float32)
        if self.scale != 1.0:
            out *= np.float32(self.scale)
        return out

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """(C, H, W) of a record -> (C, H, W) of what `planes` makes of it."""
        return (shape[0], self.crop, self.crop) if self.crop else shape

    def _centre(self, shape: tuple[int, ...]) -> tuple[int, int]:
        if not self.crop:
            return (0, 0)
        self._check(shape)
        return ((shape[1] - self.crop) // 2, (shape[2] - self.crop) // 2)

    def _views(
        self,
        pictures: np.ndarray | list[np.ndarray],
        places: list[tuple[int, int]],
        flips: np.ndarray | None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        shape = (len(pictures), *self.output_shape(pictures[0].shape))
        if out is None:
            out = np.empty(shape, np.float32)
        elif out.shape != shape:
            raise ValueError(f"out is {out.shape}, the views are {shape}")
        if isinstance(pictures, np.ndarray) and flips is None and len(set(places)) == 1:
            self._subtract(pictures, places[0], out)
            return out
        for index, (picture, place) in enumerate(zip(pictures, places)):
            view = out[index, :, :, ::-1] if flips is not None and flips[index] else out[index]
            if self.output_shape(picture.shape) != view.shape:
                raise CaffeError(
                    f"pictures of {pictures[0].shape} and {picture.shape} in one batch; make them equally large or set crop_size"
                )
            self._subtract(picture, place, view)
        return out

    def _subtract(self, picture: np.ndarray, place: tuple[int, int], out: np.ndarray) -> None:
        """out = (picture - mean) * scale in float32, both cut at `place`."""
        height, width = out.shape[-2:]
        window = (Ellipsis, slice(place[0], place[0] + height), slice(place[1], place[1] + width))
        mean = self._mean_for(picture.shape[-3:])
        if mean is None:
            np.multiply(picture[window], np.float32(self.scale), out=out, dtype=np.float32)
            return
        if mean.shape[1:] != (1, 1):
            mean = mean[window]
        np.subtract(picture[window], mean, out=out, dtype=np.float32)
        if self.scale != 1.0:
            out *= np.float32(self.scale)

    def _check(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 3:
            raise CaffeError(f"planes are channels x height x width, received {shape}")
        if self.crop and min(shape[1:]) < self.crop:
            raise CaffeError("crop %d is larger than the picture, %dx%d" % (self.crop, shape[1], shape[2]))

    def _mean_for(self, shape: tuple[int, ...]) -> np.ndarray | None:
        """The mean, broadcastable to a picture of `shape`, or a CaffeError."""
        mean = self.mean
        if mean is None:
            return None
        if mean.shape[0] != shape[0] and not (mean.ndim == 1 and len(mean) == 1):
            raise CaffeError("the mean has %d channels, the picture %d" % (mean.shape[0], shape[0]))
        if mean.ndim == 1:
            return mean.reshape(-1, 1, 1)
        if mean.shape[1:] == tuple(shape[1:]):
            return mean
        if self.mean_fit == "resize":
            return self._fit(mean, (shape[1], shape[2]))
        raise CaffeError(
            'the mean is %dx%d, the picture %dx%d: they must be equally large (mean_fit="resize" brings '
            "the mean to the picture's size, as later pycaffe did)" % (mean.shape[1:] + tuple(shape[1:]))
        )

    def _fit(self, mean: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        if size not in self._fitted:
            self._fitted[size] = fit_mean(mean, size)
        return self._fitted[size]

    # ---- JSON

    def to_dict(self, folder: str | os.PathLike, stem: str = "mean") -> dict:
        """Plain values for JSON; a mean array goes to `folder`/`stem`.npy, named by path and sha256."""
        return transform_validation.to_dict(self._fields(), os.fspath(folder), stem)

    @classmethod
    def from_dict(cls, fields: dict, folder: str | os.PathLike) -> Transform:
        """What `to_dict` made; a changed, missing or foreign mean file is refused."""
        return cls(**transform_validation.from_dict(fields, os.fspath(folder)))

    def to_json(self, path: str | os.PathLike) -> None:
        """Write `path`, and a mean array beside it as <path's stem>.npy."""
        folder, name = os.path.split(os.path.abspath(os.fspath(path)))
        write_bytes(path, json.dumps(self.to_dict(folder, os.path.splitext(name)[0]), indent=2) + "\n")

    @classmethod
    def from_json(cls, path: str | os.PathLike) -> Transform:
        """Read what `to_json` wrote."""
        try:
            with open(path, encoding="utf-8") as stream:
                fields = json.load(stream)
            return cls.from_dict(fields, os.path.dirname(os.path.abspath(os.fspath(path))))
        except (OSError, ValueError, RecursionError, CaffeError) as error:
            raise CaffeError(f"{path}: {error}") from None


def planar(picture: np.ndarray) -> np.ndarray:
    """uint8 (H, W) or (H, W, C) -> contiguous (C, H, W); cv2.split is six times numpy's transposed copy."""
    if picture.ndim == 2:
        return np.ascontiguousarray(picture)[None]
    out = np.empty((picture.shape[2], *picture.shape[:2]), picture.dtype)
    cv2.split(picture, list(out))
    return out


def is_train(phase: str | int) -> bool:
    """Caffe's phases by name or number: TRAIN is 0, TEST is 1."""
    if phase in (TRAIN, 0):
        return True
    if phase in (TEST, 1):
        return False
    raise CaffeError(f"phase must be TRAIN (0) or TEST (1), received {phase!r}")


def fit_mean(mean: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring a (C, H, W) mean to `size` as later pycaffe's set_mean does: to 0..1, bilinear, and back."""
    low, high = mean.min(), mean.max()
    if high == low:
        return np.full((mean.shape[0], *size), low, np.float32)
    unit = resample.half_pixel(((mean - low) / (high - low)).transpose(1, 2, 0), size)
    return np.ascontiguousarray((unit * (high - low) + low).transpose(2, 0, 1), np.float32)
