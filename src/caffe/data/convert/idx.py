"""The idx files of MNIST: big-endian headers, then one byte per pixel or label (LeCun's description of the format)."""

from __future__ import annotations

import os
from typing import NamedTuple

import numpy as np

from caffe.errors import CaffeError

IMAGES, LABELS = 2051, 2049  # magic numbers: unsigned bytes in three dimensions or one
_MAX_PIXELS = 1 << 24  # per image; MNIST has 784
_GZIP = b"\x1f\x8b"


class Dataset(NamedTuple):
    """Images and labels, both views of the mapped files."""

    images: np.ndarray  # (N, rows, columns) of uint8
    labels: np.ndarray  # (N,) of int8: Caffe's converters read a signed char


def read(image_path: str | os.PathLike[str], label_path: str | os.PathLike[str]) -> Dataset:
    """Read a pair of idx files.

    Parameters
    ----------
    image_path, label_path : str
        Uncompressed files, such as train-images-idx3-ubyte and train-labels-idx1-ubyte.

    Returns
    -------
    Dataset

    Raises
    ------
    CaffeError
        If a file is missing, of another format or shorter than its header says, or if the two have different lengths.
    """
    images, (count, rows, columns) = _open(image_path, IMAGES, "image")
    labels, (label_count,) = _open(label_path, LABELS, "label")
    if count != label_count:
        raise CaffeError(f"{image_path} has {count} images, {label_path} has {label_count} labels")
    if not count:
        raise CaffeError(f"{image_path}: the file has no images")
    if not 0 < rows * columns <= _MAX_PIXELS:
        raise CaffeError(f"{image_path}: images of {rows} x {columns} pixels; the limit is {_MAX_PIXELS} pixels")
    return Dataset(
        _body(images, image_path, 16, count * rows * columns).reshape(count, rows, columns),
        _body(labels, label_path, 8, count).view(np.int8),
    )


def _open(path, magic, kind):
    """Map a file; return it with the sizes in its header."""
    try:
        if os.path.isfile(path) and not os.path.getsize(path):
            raise CaffeError(f"{path}: the file is empty")
        file = np.memmap(path, np.uint8, "r")
    except (OSError, ValueError) as error:
        raise CaffeError(f"Unable to open file {path}: {getattr(error, 'strerror', None) or error}") from None
    if file[:2].tobytes() == _GZIP:
        raise CaffeError(f"{path}: the file is compressed by gzip; unpack it first (gunzip)")
    words = 4 if magic == IMAGES else 2
    header = np.frombuffer(file[: 4 * min(words, len(file) // 4)].tobytes(), ">u4")
    if not len(header) or header[0] != magic:
        received = int(header[0]) if len(header) else f"{len(file)} bytes"
        raise CaffeError(f"{path}: Incorrect {kind} file magic: expected {magic}, received {received}")
    if len(header) < words:
        raise CaffeError(f"{path}: the file ends within its header")
    return file, [int(size) for size in header[1:]]


def _body(file, path, start, size):
    if len(file) < start + size:
        raise CaffeError(f"{path}: expected {start + size} bytes according to its header, received {len(file)}")
    return np.asarray(file[start : start + size])
