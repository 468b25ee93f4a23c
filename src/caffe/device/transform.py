"""Transform: the preprocessing from an image to a `data` blob, for training, testing, export and the device.

As Caffe's data_transformer.cpp in float32: (pixel - mean) * scale, with the mean cropped at the same offset as the
image, then mirroring. This module runs on target devices, so it only needs NumPy and OpenCV, which is
imported with the first image: programs that only store a Transform do not need it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe.device import resample, transform_validation
from caffe.device.transform_validation import FIELDS, type_text
from caffe.errors import CaffeError
from caffe.utils import file_set
from caffe.utils.atomic_io import write_bytes

TRAIN, TEST = "TRAIN", "TEST"
_STACK_LIMIT = 1 << 14  # values per image up to which stacking a batch is faster


class Transform:
    """Preprocessing of images to a net's input.

    Parameters
    ----------
    order : {"BGR", "RGB"}
        Channel order the net was trained with (BGR for Caffe and OpenCV); the mean has this order too.
    size : (height, width), int or None
        Size to resize images to, bilinear, without keeping the aspect ratio. None keeps the size.
    crop : int or None
        Side of the square cropped from the resized image: at random in TRAIN, at the centre in TEST.
    mean : None, one value per channel, or array (C, H, W)
        A mean image has the size of the image before the crop.
    mean_fit : {"exact", "resize"}
        "exact" rejects a mean image of another size, as Caffe's layers do; "resize" resizes it, as later versions of
        pycaffe do (a 256x256 mean on a 227x227 net).
    scale : float
        Factor applied after the mean, e.g. 1/255.
    mirror : bool
        Mirror half of the images, in both phases as in Caffe; `image` and `batch` never mirror.
    gray : bool
        One channel instead of three.
    shrink : {"linear", "area"}
        Interpolation for reducing an image: "linear" as in Caffe (four pixels), or "area" (average of all pixels).
    application : dict, optional
        Settings of the program that prepares the images, as JSON values. They are stored with the net because they
        belong to its training, and not used here.
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
        shrink: str = "linear",
        application: dict | None = None,
    ) -> None:
        errors: list[str] = []
        self.order = transform_validation.choice("order", order, ("BGR", "RGB"), errors)
        self.size = transform_validation.size(size, errors)
        self.crop = transform_validation.crop(crop, self.size, errors)
        self.mean = transform_validation.mean(mean, errors)
        self.mean_fit = transform_validation.choice("mean_fit", mean_fit, ("exact", "resize"), errors)
        self.scale = transform_validation.number("scale", scale, -np.inf, errors)
        self.mirror, self.gray = bool(mirror), bool(gray)
        self.shrink = transform_validation.choice("shrink", shrink, ("linear", "area"), errors)
        self.application = transform_validation.application(application, errors)
        self._fitted: dict[tuple[int, int], np.ndarray] = {}
        self._mirrored: dict[tuple[int, ...], np.ndarray] = {}  # mean images
        if errors:
            raise CaffeError("Transform: " + "; ".join(errors))

    @classmethod
    def from_caffe(cls, param: Any, mean: Any = None, **more: Any) -> Transform:
        """Create from a TransformationParameter or an object with its fields; `mean` is the mean in its mean_file."""
        values = list(param.mean_value)
        if param.mean_file and values:
            raise CaffeError("transform_param: mean_file and mean_value exclude each other")
        if param.mean_file and mean is None:
            raise CaffeError(f"transform_param: pass the mean of mean_file '{param.mean_file}' as `mean`")
        if values:
            mean = values
        return cls(crop=param.crop_size or None, mean=mean, scale=param.scale, mirror=param.mirror, **more)

    def replace(self, **changes: Any) -> Transform:
        """Return a copy with some fields changed."""
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
            per_channel = self.mean.ndim == 1
            fields["mean"] = self.mean.tolist() if per_channel else "array of {}x{}x{}".format(*self.mean.shape)
        return "Transform({})".format(", ".join(f"{name}={value!r}" for name, value in fields.items()))

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """(C, H, W) of the result of `image`, or None if it depends on the image."""
        side = (self.crop, self.crop) if self.crop else self.size
        return (1 if self.gray else 3, *side) if side else None

    # ---- images as cv2.imread returns them

    def image(self, image: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Preprocess one image for phase TEST.

        Parameters
        ----------
        image : uint8 array (H, W, 3) in BGR order, (H, W, 4) or (H, W)
        out : float32 array (C, H, W), optional

        Returns
        -------
        ndarray (C, H, W) of float32

        Raises
        ------
        CaffeError
            If the image has another type or shape, or does not fit the mean or the crop.
        """
        planes = self.resized(image)
        batch_out = None if out is None else out[None]
        return self._transform(planes[None], [self._center(planes.shape)], None, batch_out)[0]

    def batch(self, images: Sequence[np.ndarray], out: np.ndarray | None = None) -> np.ndarray:
        """Preprocess images to float32 (N, C, H, W); without `size` and `crop` they must have the same size."""
        if not len(images):
            raise CaffeError("a batch needs at least one image")
        first = self.image(images[0])
        if out is None:
            out = np.empty((len(images), *first.shape), np.float32)
        out[0] = first
        for index in range(1, len(images)):
            try:
                self.image(images[index], out[index])
            except ValueError:
                raise CaffeError(
                    f"image {index} and the first, whose blob is {out.shape[1:]}, differ in size; set size or crop"
                ) from None
        return out

    def oversample(self, image: np.ndarray) -> np.ndarray:
        """Return ten crops of an image, float32 (10, C, crop, crop), in pycaffe's order.

        Top left, top right, bottom left, bottom right, centre, then the same five mirrored.
        """
        planes = self.resized(image)
        if self.crop is None:
            raise CaffeError("ten crops need a crop smaller than the image; this Transform has none")
        _, height, width = planes.shape
        bottom, right = height - self.crop, width - self.crop
        offsets = [(0, 0), (0, right), (bottom, 0), (bottom, right), self._center(planes.shape)]
        self._check(planes.shape)
        crops = self._transform([planes] * 5, offsets, None)
        return np.concatenate([crops, crops[..., ::-1]])

    def resized(self, image: np.ndarray) -> np.ndarray:
        """Return uint8 (C, H, W) in `order` and `size`: the content of a record of convert_imageset."""
        import cv2

        image = self._channels(image)
        if self.size is not None and image.shape[:2] != self.size:
            smaller = image.shape[0] >= self.size[0] and image.shape[1] >= self.size[1]
            interpolation = cv2.INTER_AREA if self.shrink == "area" and smaller else cv2.INTER_LINEAR
            image = cv2.resize(image, self.size[::-1], interpolation=interpolation)
        planes = planar(image)
        return planes[::-1] if self.order == "RGB" and len(planes) == 3 else planes

    def _channels(self, image: np.ndarray) -> np.ndarray:
        import cv2

        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim not in (2, 3):
            raise CaffeError(
                "expected an image as cv2.imread returns it, a uint8 array (H, W), (H, W, 3) or (H, W, 4); "
                f"received {type_text(image)}"
            )
        channels = 1 if image.ndim == 2 else image.shape[2]
        if channels not in (1, 3, 4) or not image.size:
            raise CaffeError(f"expected an image with 1, 3 or 4 channels, received {image.shape}")
        if self.gray:
            codes = {3: cv2.COLOR_BGR2GRAY, 4: cv2.COLOR_BGRA2GRAY}
            is_gray = channels == 1
            return image.reshape(image.shape[:2]) if is_gray else cv2.cvtColor(image, codes[channels])
        if channels == 1:
            return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        return image[..., :3]

    # ---- planes as stored in a database

    def planes(
        self,
        images: np.ndarray | list[np.ndarray],
        phase: str | int = TEST,
        rng: np.random.Generator | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Preprocess records: crop, mirror, subtract the mean and scale.

        Parameters
        ----------
        images : array (C, H, W) or (N, C, H, W), or list of arrays (C, H, W)
            uint8 or float, channels in `order`.
        phase : {"TRAIN", "TEST"} or Caffe's number
            TRAIN crops at random offsets 0..H-crop and 0..W-crop, TEST at the centre.
        rng : numpy Generator, optional
            Random numbers for crop and mirror. Without it TEST never mirrors.
        out : float32 array, optional

        Returns
        -------
        ndarray (C, h, w) or (N, C, h, w) of float32

        Raises
        ------
        CaffeError
            If sizes do not fit, or `rng` is missing.
        """
        if isinstance(images, np.ndarray) and images.ndim == 3:
            return self.planes(images[None], phase, rng, None if out is None else out[None])[0]
        for image in images if isinstance(images, list) else images[:1]:
            self._check(image.shape)
        if isinstance(images, list) and images[0].size < _STACK_LIMIT and len({i.shape for i in images}) == 1:
            images = np.stack(images)  # one operation for the whole batch
        train = is_train(phase)
        if rng is None and train and (self.mirror or self.crop):
            raise CaffeError("phase TRAIN with crop or mirror needs an rng")
        flips = rng.integers(0, 2, len(images)) if self.mirror and rng is not None else None
        offsets = [self._center(image.shape) for image in images]
        if self.crop and train and rng is not None:
            max_offsets = np.array([image.shape[1:] for image in images]) - self.crop + 1
            offsets = list(map(tuple, rng.integers(0, max_offsets)))
        return self._transform(images, offsets, flips, out)

    def normalize(self, crops: np.ndarray, shape: tuple[int, int, int], out: np.ndarray | None = None) -> np.ndarray:
        """Subtract the mean and scale uint8 crops (N, C, h, w) that were cut from images of `shape`; return float32.

        A mean image is cropped at the centre, because a rotated crop has no offset.
        """
        if out is None:
            out = np.empty(crops.shape, np.float32)
        mean = self._mean_for(shape)
        if mean is not None and mean.shape[1:] != (1, 1):
            top, left = self._center(shape)
            mean = mean[:, top : top + crops.shape[2], left : left + crops.shape[3]]
        np.subtract(crops, np.float32(0) if mean is None else mean, out=out, dtype=np.float32)
        if self.scale != 1.0:
            out *= np.float32(self.scale)
        return out

    def output_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return the shape (C, H, W) that `planes` gives for a record of `shape`."""
        return (shape[0], self.crop, self.crop) if self.crop else shape

    def _center(self, shape: tuple[int, ...]) -> tuple[int, int]:
        if not self.crop:
            return (0, 0)
        self._check(shape)
        return ((shape[1] - self.crop) // 2, (shape[2] - self.crop) // 2)

    def _transform(
        self,
        images: np.ndarray | list[np.ndarray],
        offsets: list[tuple[int, int]],
        flips: np.ndarray | None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        shape = (len(images), *self.output_shape(images[0].shape))
        if out is None:
            out = np.empty(shape, np.float32)
        elif out.shape != shape:
            raise ValueError(f"out has shape {out.shape}, the result {shape}")
        if isinstance(images, np.ndarray) and flips is None and len(set(offsets)) == 1:
            self._subtract(images, offsets[0], out)
            return out
        for index, (image, offset) in enumerate(zip(images, offsets)):
            if self.output_shape(image.shape) != out.shape[1:]:
                raise CaffeError(
                    f"images of {images[0].shape} and {image.shape} in one batch; resize them to the same size or set "
                    "crop_size"
                )
            if flips is not None and flips[index]:
                self._subtract_mirrored(image, offset, out[index])
            else:
                self._subtract(image, offset, out[index])
        return out

    def _subtract_mirrored(self, image: np.ndarray, offset: tuple[int, int], out: np.ndarray) -> None:
        """Compute out = (image - mean) * scale, mirrored; bytes are mirrored first, which is twice as fast."""
        if image.dtype != np.uint8:
            self._subtract(image, offset, out[:, :, ::-1])
            return
        import cv2

        (top, left), (height, width) = offset, out.shape[1:]
        mean = self._mean_for(image.shape)
        if mean is not None and mean.shape[1:] != (1, 1):
            if image.shape not in self._mirrored:
                self._mirrored[image.shape] = np.ascontiguousarray(mean[:, :, ::-1])
            right = image.shape[2] - left - width
            mean = self._mirrored[image.shape][:, top : top + height, right : right + width]
        mirrored = np.empty(out.shape, np.uint8)
        for plane, target in zip(image, mirrored):
            cv2.flip(plane[top : top + height, left : left + width], 1, target)
        np.subtract(mirrored, np.float32(0) if mean is None else mean, out=out, dtype=np.float32)
        if self.scale != 1.0:
            out *= np.float32(self.scale)

    def _subtract(self, image: np.ndarray, offset: tuple[int, int], out: np.ndarray) -> None:
        """Compute out = (image - mean) * scale in float32, both cropped at `offset`."""
        height, width = out.shape[-2:]
        window = (Ellipsis, slice(offset[0], offset[0] + height), slice(offset[1], offset[1] + width))
        mean = self._mean_for(image.shape[-3:])
        if mean is None:
            np.multiply(image[window], np.float32(self.scale), out=out, dtype=np.float32)
            return
        if mean.shape[1:] != (1, 1):
            mean = mean[window]
        np.subtract(image[window], mean, out=out, dtype=np.float32)
        if self.scale != 1.0:
            out *= np.float32(self.scale)

    def _check(self, shape: tuple[int, ...]) -> None:
        if len(shape) != 3:
            raise CaffeError(f"expected channels x height x width, received {shape}")
        if self.crop and min(shape[1:]) < self.crop:
            raise CaffeError(f"crop {self.crop} is larger than the image, {shape[1]}x{shape[2]}")

    def _mean_for(self, shape: tuple[int, ...]) -> np.ndarray | None:
        """Return the mean, broadcastable to an image of `shape`; raise CaffeError if it does not fit."""
        mean = self.mean
        if mean is None:
            return None
        if mean.shape[0] != shape[0] and not (mean.ndim == 1 and len(mean) == 1):
            raise CaffeError(f"the mean has {mean.shape[0]} channels, the image {shape[0]}")
        if mean.ndim == 1:
            return mean.reshape(-1, 1, 1)
        if mean.shape[1:] == tuple(shape[1:]):
            return mean
        if self.mean_fit == "resize":
            return self._fit(mean, (shape[1], shape[2]))
        raise CaffeError(
            f"the mean is {mean.shape[1]}x{mean.shape[2]}, the image {shape[1]}x{shape[2]}: they must have the same "
            'size (mean_fit="resize" resizes the mean, as later versions of pycaffe do)'
        )

    def _fit(self, mean: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        if size not in self._fitted:
            self._fitted[size] = fit_mean(mean, size)
        return self._fitted[size]

    # ---- JSON

    def to_dict(self, folder: str | os.PathLike, stem: str = "mean") -> dict:
        """Convert to JSON values; a mean image is written to `folder`/`stem`.npy and stored by path and SHA-256."""
        return transform_validation.to_dict(self._fields(), os.fspath(folder), stem)

    @classmethod
    def from_dict(cls, fields: dict, folder: str | os.PathLike) -> Transform:
        """Create from the result of `to_dict`; a changed, missing or outside mean file is an error."""
        return cls(**transform_validation.from_dict(fields, os.fspath(folder)))

    def to_json(self, path: str | os.PathLike) -> None:
        """Write the fields to `path`, and a mean image to <stem of path>.npy; both replace old ones together."""
        stem, suffix = os.path.splitext(os.fspath(path))
        with file_set.atomic_file_set(stem) as staged:
            write_bytes(staged + suffix, json.dumps(self.to_dict(*os.path.split(staged)), indent=2) + "\n")

    @classmethod
    def from_json(cls, path: str | os.PathLike) -> Transform:
        """Read a file written by `to_json`."""
        file_set.complete(os.path.splitext(os.fspath(path))[0])
        try:
            with open(path, encoding="utf-8") as stream:
                fields = json.load(stream)
            return cls.from_dict(fields, os.path.dirname(os.path.abspath(os.fspath(path))))
        except (OSError, ValueError, RecursionError, CaffeError) as error:
            raise CaffeError(f"{path}: {error}") from None


def planar(image: np.ndarray) -> np.ndarray:
    """Convert (H, W) or (H, W, C) to contiguous (C, H, W); cv2.split is six times as fast as a transposed copy."""
    import cv2

    if image.ndim == 2:
        return np.ascontiguousarray(image)[None]
    out = np.empty((image.shape[2], *image.shape[:2]), image.dtype)
    cv2.split(image, list(out))
    return out


def is_train(phase: str | int) -> bool:
    """Return whether `phase` is TRAIN; phases are given by name or Caffe's number (TRAIN 0, TEST 1)."""
    if phase in (TRAIN, 0):
        return True
    if phase in (TEST, 1):
        return False
    raise CaffeError(f"phase must be TRAIN (0) or TEST (1), received {phase!r}")


def fit_mean(mean: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize a (C, H, W) mean as later pycaffe's set_mean does: scale to 0..1, resize bilinearly, scale back."""
    low, high = mean.min(), mean.max()
    if high == low:
        return np.full((mean.shape[0], *size), low, np.float32)
    unit = resample.half_pixel(((mean - low) / (high - low)).transpose(1, 2, 0), size)
    return np.ascontiguousarray((unit * (high - low) + low).transpose(2, 0, 1), np.float32)
