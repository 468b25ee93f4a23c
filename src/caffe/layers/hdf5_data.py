"""HDF5Data: reads rows of HDF5 files named in a list."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from caffe.core import config, glog
from caffe.core.blob import check_shape
from caffe.core.lazy_torch import torch
from caffe.data import hdf5_reader
from caffe.errors import CaffeError, did_you_mean
from caffe.layers.base import TRAIN, Layer, Shape, Tensor, register
from caffe.utils import input_file


@register
class HDF5Data(Layer):
    """Reads the data set of each top's name from HDF5 files; the first axis is the row (hdf5_data_layer.cpp).

    `source` lists HDF5 files, one per line. They are read in a cycle, with one file in memory at a time; a batch may
    span files. `shuffle` shuffles the files, and the rows of each file, in every epoch. Data are not transformed.
    """

    num_bottom = 0
    num_top = (1, None)
    is_data = True
    no_onnx = "it reads files; a deploy net has an Input instead"
    _round: int  # number of the epoch
    _file: int  # number of the file within the epoch
    _loaded: int | None  # index of the file in memory
    _offset: int

    def setup(self) -> None:
        p = self.param.hdf5_data_param
        self.need(
            not self.param.HasField("transform_param"),
            "HDF5Data does not transform data; remove transform_param",
        )
        self.need(p.batch_size > 0, "hdf5_data_param needs a positive batch_size, received %d", p.batch_size)
        self.files = self._read_list(p.source)
        glog.info(f"Number of HDF5 files: {len(self.files)}", "hdf5_data_layer.cpp:88")
        seed = int(torch.randint(2**62, (), generator=self.generator))
        self.restore({"seed": seed, "row": 0, "round": 0, "file": 0})

    def _read_list(self, source):
        self.need(source, "hdf5_data_param needs a source: a list of HDF5 files")
        try:
            files = input_file.read_text(source).split()
        except CaffeError as error:
            raise CaffeError(f"source '{source}' cannot be read: {error}") from None
        self.need(files, "source '%s' is empty; expected one HDF5 file per line", source)
        missing = [name for name in files if not os.path.isfile(name)]
        self.need(not missing, "source '%s' names files that do not exist: %s", source, ", ".join(missing[:10]))
        return files

    def top_shapes(self) -> list[Shape]:
        return [(self.param.hdf5_data_param.batch_size, *array.shape[1:]) for array in self._arrays]

    # -- files -------------------------------------------------------------------------------------

    def _order(self, count, *key):
        if not self.param.hdf5_data_param.shuffle:
            return np.arange(count)
        return np.random.default_rng([self._seed, *key]).permutation(count)

    def _load(self):
        """Read file number `self._file` of this epoch, and order its rows."""
        number = self._order(len(self.files), self._round)[self._file]
        if number != self._loaded:
            self._arrays = self._read(self.files[number])
            self._loaded = number
        self._rows = self._order(len(self._arrays[0]), self._round, self._file)

    def _read(self, path):
        with hdf5_reader.open_file(path) as file:
            arrays = [self._data_set(file, path, name) for name in self.param.top]
        rows = [len(array) for array in arrays]
        if len(set(rows)) > 1:
            received = ", ".join(f"{name} {count}" for name, count in zip(self.param.top, rows))
            raise CaffeError(f"'{path}': the data sets must have the same number of rows, received {received}")
        if not rows[0]:
            raise CaffeError(f"'{path}': the data sets have no rows")
        return arrays

    @staticmethod
    def _data_set(file, path, name):
        import h5py

        data = hdf5_reader.child(file, name, path)
        if not isinstance(data, h5py.Dataset):
            members = [key for key in file if isinstance(file.get(key, getlink=True), h5py.HardLink)]
            known = sorted(key for key in members if isinstance(file[key], h5py.Dataset))
            hint, names = did_you_mean(name, known), ", ".join(known) or "none"
            raise CaffeError(f"'{path}' has no data set '{name}'{hint} (it has: {names})")
        if data.shape is None or data.ndim < 1 or data.dtype.kind not in "fiu":
            raise CaffeError(
                f"'{path}': data set '{name}' must be numeric with at least one axis, "
                f"received {data.dtype} of shape {data.shape}"
            )
        check_shape(data.shape)
        return np.asarray(hdf5_reader.array(data, path), np.float32)

    def _next_file(self):
        self._row, self._file = 0, self._file + 1
        if self._file == len(self.files):
            self._file, self._round = 0, self._round + 1
        self._load()

    # -- running -----------------------------------------------------------------------------------

    def forward(self) -> Tensor | tuple[Tensor, ...]:
        missing = self.param.hdf5_data_param.batch_size
        rank, solvers = config.solver_share(self.phase)
        parts = []
        while missing:
            if self._row >= len(self._rows):
                beyond = self._row - len(self._rows)  # not 0 only after `reshard`
                self._next_file()
                self._row = beyond
                continue
            first = self._row + (rank - self._offset) % solvers
            rows = self._rows[first::solvers][:missing]
            end = min(first + len(rows) * solvers - solvers + 1, len(self._rows)) if len(rows) else len(self._rows)
            parts.append([array[rows] for array in self._arrays])
            self._offset, self._row = self._offset + end - self._row, end
            missing -= len(rows)
        return tuple(
            torch.from_numpy(self._concatenate(name, part)).to(self.device)
            for name, part in zip(self.param.top, zip(*parts))
        )

    @staticmethod
    def _concatenate(name, parts):
        shapes = {part.shape[1:] for part in parts}
        if len(shapes) > 1:
            raise CaffeError(f"data set '{name}' has rows of different shapes in different files: {sorted(shapes)}")
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def state(self) -> dict[str, int]:
        """Return the next epoch, file and row, and the seed of the shuffles."""
        return {
            "seed": self._seed, "row": self._row, "round": self._round, "file": self._file, "offset": self._offset
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        self._seed, self._row = state["seed"], state["row"]
        self._round, self._file = state["round"], state["file"]
        self._offset = state.get("offset", 0)  # rows passed since the start, of all epochs
        self._loaded = None
        self._load()

    def reshard(self, state: dict[str, Any], world_size: int, divisor: int) -> dict[str, Any]:
        """Return rank 0's `state` of `world_size` processes after the last row that any of them has read."""
        if self.phase != TRAIN:
            return state
        ahead = world_size - 1  # rank 0 reads the first of every world_size rows
        return {**state, "row": state["row"] + ahead, "offset": state.get("offset", 0) + ahead}
