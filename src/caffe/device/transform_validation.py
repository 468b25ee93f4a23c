"""Validation of the fields of a Transform and their JSON form, with a mean image in a separate file."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
from typing import Any

import numpy as np

from caffe.errors import CaffeError, did_you_mean
from caffe.utils.atomic_io import write_bytes

FIELDS = ("order", "size", "crop", "mean", "mean_fit", "scale", "mirror", "gray", "shrink", "application")


def to_dict(fields: dict, folder: str, stem: str) -> dict:
    """Convert fields to JSON values; a mean image is written to `folder`/`stem`.npy and stored by path and SHA-256."""
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
    """Convert the result of `to_dict` back and read the mean; a changed, missing or outside mean file is an error."""
    if not isinstance(fields, dict):
        raise CaffeError(f"a Transform must be an object of {', '.join(FIELDS)}; received {type_text(fields)}")
    unknown = [f"'{name}'{did_you_mean(name, FIELDS)}" for name in fields if name not in FIELDS]
    if unknown:
        raise CaffeError(f"Transform has no field {', '.join(unknown)}")
    if isinstance(fields.get("mean"), dict):
        return dict(fields, mean=_stored_mean(fields["mean"], folder))
    return dict(fields)


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _stored_mean(entry: dict, folder: str) -> np.ndarray:
    from caffe.utils.npy_file import parse_npy  # its decompressors take as long to load as the rest of a Transform

    name = entry.get("file")
    if not isinstance(name, str) or os.path.isabs(name) or ".." in name.replace("\\", "/").split("/"):
        raise CaffeError(f"mean: the file must be in the folder of the JSON file, received {name!r}")
    path = os.path.join(folder, name)
    try:
        with open(path, "rb") as stream:
            data = stream.read()
    except OSError as error:
        raise CaffeError(f"mean: {path}: {error.strerror}") from None
    if hashlib.sha256(data).hexdigest() != entry.get("sha256"):
        raise CaffeError(f"mean: {path} has changed: its SHA-256 differs")
    return parse_npy(data, f"mean: {path}")


def choice(name: str, value: Any, allowed: tuple[str, ...], errors: list[str]) -> Any:
    """Check that `value` is one of the allowed strings."""
    if value not in allowed:
        errors.append(f"{name} must be {' or '.join(allowed)}, received {value!r}")
    return value


def number(name: str, value: Any, minimum: float, errors: list[str]) -> float:
    """Convert to a finite number of at least `minimum`."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or number < minimum:
        bound = f" of at least {minimum:g}" if math.isfinite(minimum) else ""
        errors.append(f"{name} must be a finite number{bound}, received {value!r}")
    return number


def _is_positive_int(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value > 0)


def size(size: Any, errors: list[str]) -> tuple[int, int] | None:
    """Convert to (height, width), from a pair or one number for both, or None."""
    if size is None:
        return None
    pair = (size, size) if _is_positive_int(size) else tuple(size) if isinstance(size, (tuple, list)) else ()
    if len(pair) != 2 or not all(map(_is_positive_int, pair)):
        errors.append(f"size must be (height, width) in pixels, received {size!r}")
        return None
    return (int(pair[0]), int(pair[1]))


def crop(crop: Any, size: tuple[int, int] | None, errors: list[str]) -> int | None:
    """Check a crop side in pixels, which must fit into `size`, or None."""
    if crop is None:
        return None
    if not _is_positive_int(crop):
        errors.append(f"crop must be a positive number of pixels or None, received {crop!r}")
        return None
    if size is not None and crop > min(size):
        errors.append(f"crop {crop} is larger than size {size[0]}x{size[1]}")
    return int(crop)


def application(settings: Any, errors: list[str]) -> dict | None:
    """Check that settings of an application are a dict of JSON values, or None."""
    try:
        if settings is None or isinstance(settings, dict):
            return json.loads(json.dumps(settings, allow_nan=False))
    except (TypeError, ValueError):
        pass
    errors.append(f"application must be a dict of JSON values, received {settings!r}")
    return None


def mean(mean: Any, errors: list[str]) -> np.ndarray | None:
    """Convert to float32 (C,) or (C, H, W), or None."""
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
        errors.append(f"mean must be one value per channel or a (C, H, W) array, received {type_text(mean)}")
        return None
    if not np.isfinite(array).all():
        errors.append("mean contains values that are not finite")
    array.setflags(write=False)
    return array


def type_text(value: Any) -> str:
    """Describe the type of a value, for messages."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {value.shape}"
    return "None (is it an image file?)" if value is None else type(value).__name__
