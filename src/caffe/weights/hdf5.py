"""Weights and solver states as HDF5, in the layout of Caffe's net.cpp and sgd_solver.cpp."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from caffe.data import hdf5_reader
from caffe.errors import CaffeError
from caffe.utils.atomic_io import atomic_write

_MAGIC = b"\x89HDF\r\n\x1a\n"
MAX_LAYERS = 100_000
MAX_BLOBS = 1000  # of one layer
MAX_DEPTH = 32  # a layer's name is a path: inception_3a/1x1

Weights = Mapping[str, Sequence[Any]]


def is_hdf5(path: str) -> bool:
    """Return whether the file has an HDF5 signature; raises CaffeError if it cannot be read."""
    try:
        with open(path, "rb") as stream:
            return stream.read(len(_MAGIC)) == _MAGIC
    except OSError as error:
        raise CaffeError(f"{path}: cannot be read ({error.strerror})") from None


@contextlib.contextmanager
def _create(path: str) -> Iterator[Any]:
    """Create a file atomically; raises CaffeError if HDF5 cannot write it (HDF5 reports a full disk on closing)."""
    import h5py

    with atomic_write(path) as temporary:
        try:
            with h5py.File(temporary, "w") as file:
                yield file
        except RuntimeError as error:
            raise CaffeError(f"{path}: HDF5 cannot write it; is the disk full? ({error})") from error


def read_weights(path: str) -> dict[str, list[np.ndarray]]:
    """Return the blobs of each layer in /data, by layer name."""
    import h5py

    with hdf5_reader.open_file(path) as file:
        group = hdf5_reader.child(file, "data", path)
        if not isinstance(group, h5py.Group):
            raise CaffeError(f"{path}: has no group /data; is it a .caffemodel.h5?")
        weights: dict[str, list[np.ndarray]] = {}
        _collect(group, "", path, weights, 0)
        return weights


def _collect(group: Any, name: str, path: str, weights: dict[str, list[np.ndarray]], depth: int) -> None:
    """Collect the layers below `group`: groups with data sets 0, 1 …; a layer name with a slash is a nested group."""
    import h5py

    if depth > MAX_DEPTH or len(weights) > MAX_LAYERS:
        raise CaffeError(f"{path}: /data nests too deep or holds too many layers")
    datasets = {}
    for key in group:
        child = hdf5_reader.child(group, key, path)
        if child is None:
            raise CaffeError(f"{path}: damaged HDF5 ('{key}' is a broken link)")
        if isinstance(child, h5py.Group):
            _collect(child, f"{name}/{key}" if name else key, path, weights, depth + 1)
        else:
            datasets[key] = child
    if datasets:
        weights[name] = _numbered(datasets, path, name)


def _numbered(datasets: Mapping[str, Any], path: str, name: str) -> list[np.ndarray]:
    """Return the data sets 0, 1, 2 … as arrays; None for a missing number: a shared blob stored with its owner."""
    if not all(key.isdecimal() for key in datasets):
        names = ", ".join(list(datasets)[:8])
        raise CaffeError(f"{path}: /data/{name}: expected blobs named 0, 1, 2 …; received {names}")
    arrays = {int(key): hdf5_reader.array(datasets[key], path) for key in datasets}
    if max(arrays) >= MAX_BLOBS:
        raise CaffeError(f"{path}: /data/{name}: blob number {max(arrays)}; the limit is {MAX_BLOBS}")
    return [arrays.get(number) for number in range(max(arrays) + 1)]  # type: ignore[misc]


def write_weights(path: str, weights: Weights, diffs: Weights | None = None) -> None:
    """Write /data/<layer>/<i>, and /diff/<layer>/<i> if `diffs` are given; None skips a shared blob."""
    with _create(path) as file:
        for root, layers in (("data", weights), ("diff", diffs)):
            if layers is None:
                continue
            group = file.create_group(root)
            for name, arrays in layers.items():
                layer = group.require_group(name)
                for index, array in enumerate(arrays):
                    if array is not None:
                        layer.create_dataset(str(index), data=_numbers(array))


def _numbers(array: Any) -> np.ndarray:
    array = np.asarray(array)
    return array if array.dtype == np.float64 else np.asarray(array, np.float32)


def read_state(path: str) -> tuple[int, str, int, list[np.ndarray]]:
    """Return iter, learned_net, current_step and the histories of a .solverstate.h5."""
    import h5py

    with hdf5_reader.open_file(path) as file:
        if "iter" not in file or "history" not in file:
            raise CaffeError(f"{path}: has no iter or no history; is it a .solverstate.h5?")
        history = hdf5_reader.child(file, "history", path)
        if not isinstance(history, h5py.Group):
            raise CaffeError(f"{path}: history is not a group")
        datasets = {key: hdf5_reader.child(history, key, path) for key in history}
        learned = hdf5_reader.child(file, "learned_net", path)
        return (
            _integer(file, "iter", path),
            _string(learned, path) if learned is not None else "",
            _integer(file, "current_step", path),
            _numbered(datasets, path, "history"),
        )


def _integer(file: Any, name: str, path: str) -> int:
    dataset = hdf5_reader.child(file, name, path)
    if dataset is None:
        return 0
    hdf5_reader.check_dataset(dataset, f"{path}: {name}")
    if dataset.size != 1 or dataset.dtype.kind not in "iu":
        raise CaffeError(f"{path}: {name} is not an integer")
    return int(np.asarray(dataset[()]).reshape(-1)[0])


def _string(dataset: Any, path: str) -> str:
    hdf5_reader.check_dataset(dataset, f"{path}: learned_net")
    if dataset.size != 1 or dataset.nbytes > 65536:
        raise CaffeError(f"{path}: learned_net is not a string")
    value = dataset[()]
    if isinstance(value, np.ndarray):
        value = value.reshape(-1)[0]
    return bytes(value).rstrip(b"\0").decode("utf-8", "replace") if not isinstance(value, str) else value


def write_state(path: str, iteration: int, learned_net: str, current_step: int, history: Sequence[Any]) -> None:
    """Write iter, learned_net, current_step and /history/<i>."""
    with _create(path) as file:
        file.create_dataset("iter", data=np.array([iteration], np.int32))
        _write_string(file, "learned_net", learned_net)
        file.create_dataset("current_step", data=np.array([current_step], np.int32))
        group = file.create_group("history")
        for index, array in enumerate(history):
            group.create_dataset(str(index), data=_numbers(array))


def _write_string(file: Any, name: str, value: str) -> None:
    """Write a string as H5LTmake_dataset_string does: fixed length, NUL-terminated."""
    import h5py

    data = value.encode("utf-8") + b"\0"
    string_type = h5py.h5t.C_S1.copy()
    string_type.set_size(len(data))
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_obj_track_times(False)  # equal runs write equal bytes
    dataset = h5py.h5d.create(file.id, name.encode(), string_type, h5py.h5s.create(h5py.h5s.SCALAR), properties)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array(data, dtype=f"S{len(data)}"), mtype=string_type)
