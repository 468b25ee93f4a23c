"""HDF5Output: writes data and labels to an HDF5 file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from caffe.errors import CaffeError
from caffe.layers.base import Layer, Shape, register


@register
class HDF5Output(Layer):
    """Writes its two bottoms as data sets `data` and `label` of the file `file_name` (hdf5_output_layer.cpp).

    The first forward replaces a file of the same layer type; any other existing file is an error when the net is
    built. Each forward appends its rows and closes the file, so it is complete after every forward. (Caffe fails in the
    second forward.) As in Caffe, arrays have at least four axes. A net with this layer writes files, so read an
    untrusted prototxt before you run it.
    """

    num_bottom = 2
    repeatable = False  # it writes
    num_top = 0
    no_onnx = "it writes a file"

    def setup(self, data: Shape, label: Shape) -> None:
        self.path = self.param.hdf5_output_param.file_name
        self.need(self.path, "hdf5_output_param needs a file_name")
        self._check(data, label)
        self._refuse_foreign()
        self._started = False

    def _refuse_foreign(self):
        """Raise CaffeError for an existing file of another form."""
        folder = os.path.dirname(os.path.abspath(self.path))
        self.need(os.path.isdir(folder), "'%s' cannot be written: folder '%s' does not exist", self.path, folder)
        self.need(
            not os.path.lexists(self.path) or _is_output(self.path),
            "'%s' exists and was not written by an HDF5Output layer; it is not replaced: choose another file_name",
            self.path,
        )

    def _open(self, mode):
        import h5py

        try:
            return h5py.File(self.path, mode)
        except OSError as error:
            raise CaffeError(f"'{self.path}' cannot be written: {error}") from None

    def _check(self, data, label):
        self.need(
            data and label and data[0] == label[0],
            "data and label must have the same batch size, received %s and %s",
            data,
            label,
        )

    def top_shapes(self, data: Shape, label: Shape) -> list[Shape]:
        return []

    def forward_blobs(self, bottoms: list[Any], tops: list[Any], record: bool) -> None:
        self._check(*(blob.shape for blob in bottoms))
        if not self._started:
            self._refuse_foreign()  # another program may have created it since
        with self._open("a" if self._started else "w") as file:
            self._started = True
            for name, blob in zip(("data", "label"), bottoms):
                self._append(file, name, blob.tensor.detach().cpu().float().numpy())

    @staticmethod
    def _append(file, name, rows):
        rows = rows.reshape(rows.shape + (1,) * (4 - rows.ndim))
        if name not in file:
            file.create_dataset(name, data=rows, maxshape=(None, *rows.shape[1:]))
            return
        data = file[name]
        if data.shape[1:] != rows.shape[1:]:
            raise CaffeError(f"'{name}' holds rows of {data.shape[1:]}, the bottom now has {rows.shape[1:]}")
        data.resize(len(data) + len(rows), axis=0)
        data[-len(rows) :] = rows

    def backward_blobs(self, tops: list[Any], propagate_down: Sequence[bool], bottoms: list[Any]) -> None:
        """Do nothing: the bottoms have no gradient."""


def _is_output(path):
    """Return whether `path` is an HDF5 file without members other than `data` and `label`."""
    import h5py

    if not os.path.isfile(path) or not h5py.is_hdf5(path):
        return False
    try:
        with h5py.File(path, "r") as file:
            return {*file} <= {"data", "label"}
    except (OSError, RuntimeError):
        return False
