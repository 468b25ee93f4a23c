"""Read untrusted HDF5 files: links and external data are rejected, and sizes are checked before reading."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from caffe.errors import CaffeError

MAX_BYTES = 4 << 30  # of one data set
_MAX_RATIO = 1100  # gzip compresses by at most 1032 : 1
# Exceptions of h5py for damaged files.
DAMAGED = (OSError, RuntimeError, ValueError, LookupError, TypeError, ArithmeticError, AttributeError, MemoryError)


@contextlib.contextmanager
def open_file(path: str) -> Iterator[Any]:
    """Context manager that opens a file for reading; errors of h5py within the context become CaffeErrors."""
    import h5py

    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except DAMAGED as error:
        if isinstance(error, CaffeError):
            raise
        raise CaffeError(f"{path}: damaged HDF5 ({error})") from None


def child(group: Any, key: str, path: str) -> Any:
    """Return a member of `group`, or None; raises CaffeError for links, which could point to other files."""
    import h5py

    if key not in group:
        return None
    if not isinstance(group.get(key, getlink=True), h5py.HardLink):
        raise CaffeError(f"{path}: '{key}' is a link; the file must contain its data itself")
    return group[key]


def check_dataset(item: Any, label: str) -> None:
    """Raise CaffeError unless `item` is a data set."""
    import h5py

    if not isinstance(item, h5py.Dataset):
        raise CaffeError(f"{label} is not a data set")


def array(dataset: Any, path: str) -> np.ndarray:
    """Read a data set as float32 or float64; raises CaffeError if it is stored elsewhere or its size is implausible."""
    check_dataset(dataset, f"{path}: a blob")
    label = f"{path}: {dataset.name}"
    if dataset.external or dataset.is_virtual:
        raise CaffeError(f"{label} keeps its data in another file")
    if dataset.dtype.kind not in "fiu":
        raise CaffeError(f"{label} is not numeric")
    if dataset.shape is not None and dataset.nbytes > MAX_BYTES:
        raise CaffeError(f"{label} has {dataset.nbytes} bytes, more than the limit of {MAX_BYTES}")
    if dataset.shape is None or dataset.nbytes > _MAX_RATIO * dataset.id.get_storage_size():
        raise CaffeError(f"{label} claims shape {dataset.shape}, more than the file holds")
    return dataset[()] if dataset.dtype == np.float64 else np.asarray(dataset[()], np.float32)
