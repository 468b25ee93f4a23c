"""Weights of TensorFlow.js' two-part files: a .json that names them and .bin files that hold them one after another."""

from __future__ import annotations

import json
import os

import numpy as np

from agegender.errors import AgeGenderError

_TYPES = {"float32": "<f4", "float16": "<f2", "int32": "<i4", "bool": "?", "uint8": "u1"}


def read(path):
    """{name: array} of the weights that a model's .json names; half floats come as float32.

    Raises AgeGenderError where the file is no such .json, a .bin is missing, or sizes do not agree.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            groups = json.load(stream)["weightsManifest"]
        out = {}
        for group in groups:
            names = group["paths"]
            if any(os.path.basename(name) != name for name in names):
                raise AgeGenderError("{}: names files elsewhere: {}".format(path, ", ".join(names)))
            data = b"".join(_bytes(os.path.join(os.path.dirname(path), name)) for name in names)
            out.update(_split(data, group["weights"], path))
        return out
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AgeGenderError(f"{path}: not a TensorFlow.js model: {error or type(error).__name__}") from error
    except OSError as error:
        raise AgeGenderError(f"{path}: {error}; a model's .bin files have to lie beside its .json") from error


def _bytes(path):
    with open(path, "rb") as stream:
        return stream.read()


def _split(data, entries, path):
    """Yield (name, array) of a group of weights."""
    at = 0
    for entry in entries:
        kind = entry.get("quantization", {}).get("dtype", entry["dtype"])
        if kind not in _TYPES or ("quantization" in entry and kind != "float16"):
            raise AgeGenderError(
                "{}: '{}' is stored as {}; known are {}".format(path, entry["name"], kind, ", ".join(_TYPES))
            )
        dtype, shape = np.dtype(_TYPES[kind]), tuple(entry["shape"])
        count = int(np.prod(shape, dtype=np.int64))
        if count < 0 or at + count * dtype.itemsize > len(data):
            raise AgeGenderError("%s: cut short: '%s' wants %d values from byte %d on, of %d bytes"
                                 % (path, entry["name"], count, at, len(data)))  # fmt: skip
        array = np.frombuffer(data, dtype, count, at).reshape(shape)
        yield entry["name"], array.astype(np.float32) if kind == "float16" else array
        at += count * dtype.itemsize
    if at != len(data):
        raise AgeGenderError("%s: %d bytes of weights named, %d there" % (path, at, len(data)))
