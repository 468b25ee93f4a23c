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

    An existing file is replaced when the net is built. Each forward appends its rows and closes the file, so it is
    complete after every forward. (Caffe fails in the second forward.) As in Caffe, arrays have at least four axes.
    """

    num_bottom = 2
    num_top = 0
    no_onnx = "it writes a file"

    def setup(self, data: Shape, label: Shape) -> None:
        self.path = self.param.hdf5_output_param.file_name
        self.need(self.path, "hdf5_output_param needs a file_name")
        self._check(data, label)
        with self._open("w"):
            pass

    def _open(self, mode):
        import h5py

        try:
            return h5py.File(self.path, mode)
        except OSError as error:
            folder = os.path.dirname(os.path.abspath(self.path))
            hint = "" if os.path.isdir(folder) else f" (folder '{folder}' does not exist)"
            raise CaffeError(f"'{self.path}' cannot be written: {error}{hint}") from None

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
        with self._open("a") as file:
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
