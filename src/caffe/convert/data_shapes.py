"""The shape of one item of a data layer that is neither a database nor a list of images."""

from __future__ import annotations

from typing import Any


def item_shape(layer: Any) -> tuple[int, ...] | None:
    """Return the shape of one item of DummyData or HDF5Data, without the batch axis; None if it is not known."""
    if layer.type == "DummyData":
        return _dummy(layer.dummy_data_param)
    return _hdf5(layer) if layer.type == "HDF5Data" else None


def _dummy(param):
    if len(param.shape):
        return tuple(param.shape[0].dim[1:])
    legacy = [list(getattr(param, name))[:1] for name in ("channels", "height", "width")]
    return tuple(size for sizes in legacy for size in sizes) if all(legacy) else None


def _hdf5(layer):
    """The rows of the first file; None if there is no file here."""
    import h5py

    try:
        with open(layer.hdf5_data_param.source, encoding="utf-8") as stream:
            first = stream.read().split()[0]
        with h5py.File(first, "r", locking=False) as file:
            return tuple(file[layer.top[0]].shape[1:])
    except (OSError, UnicodeDecodeError, IndexError, KeyError, AttributeError):
        return None
