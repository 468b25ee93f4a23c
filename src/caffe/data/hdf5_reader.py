"""Reading HDF5 files of unknown origin: no link is followed, no other file is opened, no size is believed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from caffe.errors import CaffeError

MAX_BYTES = 4 << 30  # of one data set
_MAX_RATIO = 1100  # gzip, at best, makes 1032 bytes of one
# What h5py raises on damaged files, besides HDF5's own OSError.
DAMAGED = (OSError, RuntimeError, ValueError, LookupError, TypeError, ArithmeticError, AttributeError, MemoryError)


@contextlib.contextmanager
def open_file(path: str) -> Iterator[Any]:
    """The file, opened for reading; whatever h5py raises within becomes a CaffeError that names it."""
    import h5py

    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except DAMAGED as problem:
        if isinstance(problem, CaffeError):
            raise
        raise CaffeError(f"{path}: damaged HDF5 ({problem})") from None


def child(group: Any, key: str, path: str) -> Any:
    """Return a member; links that lead elsewhere (other files, too) are refused."""
    import h5py

    if key not in group:
        return None
    if not isinstance(group.get(key, getlink=True), h5py.HardLink):
        raise CaffeError(f"{path}: '{key}' is a link; such a file holds its data itself")
    return group[key]


def check_dataset(item: Any, label: str) -> None:
    """Refuse a group."""
    import h5py

    if not isinstance(item, h5py.Dataset):
        raise CaffeError(f"{label} is no data set")


def array(dataset: Any, path: str) -> np.ndarray:
    """Read a data set as float32 or float64, if it is stored here and its size is no lie."""
    check_dataset(dataset, f"{path}: a blob")
    label = f"{path}: {dataset.name}"
    if dataset.external or dataset.is_virtual:
        raise CaffeError(f"{label} keeps its data in another file")
    if dataset.dtype.kind not in "fiu":
        raise CaffeError(f"{label} holds no numbers")
    if dataset.shape is not None and dataset.nbytes > MAX_BYTES:
        raise CaffeError(f"{label} has {dataset.nbytes} bytes; at most {MAX_BYTES} are read")
    if dataset.shape is None or dataset.nbytes > _MAX_RATIO * dataset.id.get_storage_size():
        raise CaffeError(f"{label} claims shape {dataset.shape}, more than the file holds")
    return dataset[()] if dataset.dtype == np.float64 else np.asarray(dataset[()], np.float32)
