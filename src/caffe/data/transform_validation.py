"""The fields of a Transform: what each may be, and how they are kept in JSON, the mean in a file beside."""

from __future__ import annotations

import hashlib
import io
import math
import os
from typing import Any

import numpy as np

from caffe.errors import CaffeError, did_you_mean
from caffe.utils.atomic_io import write_bytes

FIELDS = ("order", "size", "crop", "mean", "mean_fit", "scale", "mirror", "gray", "margin", "shrink", "landmarks")


def to_dict(fields: dict, folder: str, stem: str) -> dict:
    """Plain values for JSON; a mean array goes to `folder`/`stem`.npy, named by relative path and sha256."""
    fields = dict(fields, size=list(fields["size"]) if fields["size"] else None)
    mean = fields["mean"]
    if mean is not None and mean.ndim == 1:
        fields["mean"] = [float(value) for value in mean]
    elif mean is not None:
        data = _npy(mean)
        write_bytes(os.path.join(folder, stem + ".npy"), data)
        digest = hashlib.sha256(data).hexdigest()
        fields["mean"] = {"file": stem + ".npy", "sha256": digest, "shape": list(mean.shape)}
    return fields


def from_dict(fields: dict, folder: str) -> dict:
    """What `to_dict` made, the mean read; a changed, missing or foreign mean file is refused."""
    if not isinstance(fields, dict):
        raise CaffeError("a Transform is an object of {}, received {}".format(", ".join(FIELDS), what(fields)))
    unknown = [f"'{name}'{did_you_mean(name, FIELDS)}" for name in fields if name not in FIELDS]
    if unknown:
        raise CaffeError("Transform has no field {}".format(", ".join(unknown)))
    if isinstance(fields.get("mean"), dict):
        return dict(fields, mean=_stored_mean(fields["mean"], folder))
    return dict(fields)


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _stored_mean(entry: dict, folder: str) -> np.ndarray:
    name = entry.get("file")
    if not isinstance(name, str) or os.path.isabs(name) or ".." in name.replace("\\", "/").split("/"):
        raise CaffeError(f"mean: the file must lie beside the JSON, received {name!r}")
    path = os.path.join(folder, name)
    try:
        with open(path, "rb") as stream:
            data = stream.read()
    except OSError as error:
        raise CaffeError(f"mean: {path}: {error.strerror}") from None
    if hashlib.sha256(data).hexdigest() != entry.get("sha256"):
        raise CaffeError(f"mean: {path} is not the file that was stored: its sha256 differs")
    try:
        return np.load(io.BytesIO(data), allow_pickle=False)
    except ValueError as error:
        raise CaffeError(f"mean: {path}: {error}") from None


def choice(name: str, value: Any, allowed: tuple[str, ...], faults: list[str]) -> Any:
    """One of the allowed words."""
    if value not in allowed:
        faults.append("{} must be {}, received {!r}".format(name, " or ".join(allowed), value))
    return value


def number(name: str, value: Any, least: float, faults: list[str]) -> float:
    """A finite number of at least `least`."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or number < least:
        bound = f" of at least {least:g}" if math.isfinite(least) else ""
        faults.append(f"{name} must be a finite number{bound}, received {value!r}")
    return number


def _whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value > 0)


def size(size: Any, faults: list[str]) -> tuple[int, int] | None:
    """(height, width), from a pair or one number for both, or None."""
    if size is None:
        return None
    pair = (size, size) if _whole(size) else tuple(size) if isinstance(size, (tuple, list)) else ()
    if len(pair) != 2 or not all(map(_whole, pair)):
        faults.append(f"size must be (height, width) in pixels, received {size!r}")
        return None
    return (int(pair[0]), int(pair[1]))


def crop(crop: Any, size: tuple[int, int] | None, faults: list[str]) -> int | None:
    """A side in pixels that fits into `size`, or None."""
    if crop is None:
        return None
    if not _whole(crop):
        faults.append(f"crop must be a positive number of pixels or None, received {crop!r}")
        return None
    if size is not None and crop > min(size):
        faults.append("crop %d is larger than size %dx%d" % (crop, size[0], size[1]))
    return int(crop)


def landmarks(points: Any, faults: list[str]) -> tuple[tuple[float, float], ...] | None:
    """Five finite (x, y), or None."""
    if points is None:
        return None
    try:
        array: np.ndarray = np.array(points, np.float64)
    except (TypeError, ValueError):
        array = np.zeros(())
    if array.shape != (5, 2) or not np.isfinite(array).all():
        faults.append(f"landmarks must be five (x, y) as shares of width and height, received {points!r}")
        return None
    return tuple((float(x), float(y)) for x, y in array)


def mean(mean: Any, faults: list[str]) -> np.ndarray | None:
    """None, one float32 value a channel, or (C, H, W)."""
    if mean is None:
        return None
    try:
        array: np.ndarray = np.array(mean, np.float32)
    except (TypeError, ValueError):
        array = np.zeros(())
    if array.ndim == 0 and isinstance(mean, (int, float)):
        array = array.reshape(1)
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim not in (1, 3) or not array.size:
        faults.append(f"mean must be one value a channel or a (C, H, W) array, received {what(mean)}")
        return None
    if not np.isfinite(array).all():
        faults.append("mean holds values that are not finite")
    array.setflags(write=False)
    return array


def what(value: Any) -> str:
    """A value's kind, for messages."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    return "None (is it a picture file?)" if value is None else type(value).__name__
