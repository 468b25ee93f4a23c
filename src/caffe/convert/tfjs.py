"""Read TensorFlow.js weights: a .json file with names and shapes, and .bin files with the data."""

from __future__ import annotations

import json
import os

import numpy as np

from caffe.errors import CaffeError

_DTYPES = {"float32": "<f4", "float16": "<f2", "int32": "<i4", "bool": "?", "uint8": "u1"}


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read the weights of a model's .json file; float16 is converted to float32.

    Returns
    -------
    dict
        Name -> array.

    Raises
    ------
    CaffeError
        If the file is not a TensorFlow.js model, a .bin file is missing, or sizes do not match.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            groups = json.load(stream)["weightsManifest"]
        out = {}
        for group in groups:
            names = group["paths"]
            if any(os.path.basename(name) != name for name in names):
                raise CaffeError(f"{path}: refers to files outside its folder: {', '.join(names)}")
            data = b"".join(_bytes(os.path.join(os.path.dirname(path), name)) for name in names)
            out.update(_split(data, group["weights"], path))
        return out
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise CaffeError(f"{path}: not a TensorFlow.js model: {error or type(error).__name__}") from error
    except OSError as error:
        raise CaffeError(f"{path}: {error}; the .bin files must be in the folder of the .json file") from error


def _bytes(path):
    with open(path, "rb") as stream:
        return stream.read()


def _split(data, entries, path):
    """Yield (name, array) of a group of weights."""
    at = 0
    for entry in entries:
        name, stored_as = entry["name"], entry.get("quantization", {}).get("dtype", entry["dtype"])
        if stored_as not in _DTYPES or ("quantization" in entry and stored_as != "float16"):
            raise CaffeError(f"{path}: '{name}' is stored as {stored_as}; supported are {', '.join(_DTYPES)}")
        dtype, shape = np.dtype(_DTYPES[stored_as]), tuple(entry["shape"])
        count = int(np.prod(shape, dtype=np.int64))
        if count < 0 or at + count * dtype.itemsize > len(data):
            raise CaffeError(
                f"{path}: truncated: '{name}' needs {count} values from byte {at}, the data has {len(data)} bytes"
            )
        array = np.frombuffer(data, dtype, count, at).reshape(shape)
        yield name, array.astype(np.float32) if stored_as == "float16" else array
        at += count * dtype.itemsize
    if at != len(data):
        raise CaffeError(f"{path}: expected {at} bytes of weights, received {len(data)}")
