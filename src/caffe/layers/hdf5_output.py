"""HDF5Output: writes data and labels to an HDF5 file."""

import os

from caffe.errors import CaffeError
from caffe.layers.base import Layer, register


@register
class HDF5Output(Layer):
    """Writes its two bottoms as data sets `data` and `label` of the file `file_name` (hdf5_output_layer.cpp).

    A file that such a layer wrote is replaced at the first forward; any other is refused when the net is
    made. Each forward appends its rows; the file is closed in
    between, so it is whole after every forward. (Real Caffe fails in the second forward.) Up to four axes are
    written as four, as there. A net with such a layer writes files: read a stranger's before you run it.
    """

    num_bottom = 2
    num_top = 0
    no_onnx = "it writes a file"

    def setup(self, data, label):
        self.path = self.param.hdf5_output_param.file_name
        self.need(self.path, "hdf5_output_param needs a file_name")
        self._check(data, label)
        self._refuse_foreign()
        self._begun = False

    def _refuse_foreign(self):
        """Nothing is written when the net is made, and no file is ever replaced that is not of this layer's form."""
        folder = os.path.dirname(os.path.abspath(self.path))
        self.need(os.path.isdir(folder), "'%s' cannot be written: there is no folder '%s'", self.path, folder)
        self.need(
            not os.path.lexists(self.path) or _is_output(self.path),
            "'%s' exists, and no HDF5Output layer wrote it: it will not be replaced; give another file_name",
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

    def top_shapes(self, data, label):
        return []

    def forward_blobs(self, bottoms, tops, record):
        self._check(*(blob.shape for blob in bottoms))
        if not self._begun:
            self._refuse_foreign()  # it may have been made meanwhile
        with self._open("a" if self._begun else "w") as file:
            self._begun = True
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

    def backward_blobs(self, tops, propagate_down, bottoms):
        """Nothing comes back from a file."""


def _is_output(path):
    """Whether `path` is an HDF5 file that holds the data sets `data` and `label`, one of them, or nothing."""
    import h5py

    if not os.path.isfile(path) or not h5py.is_hdf5(path):
        return False
    try:
        with h5py.File(path, "r") as file:
            return {*file} <= {"data", "label"}
    except (OSError, RuntimeError):
        return False
