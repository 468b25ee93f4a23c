"""PlainBlob: a Blob's shape and data as NumPy has them, for nets that are described and not run."""

from __future__ import annotations

import math

import numpy as np

from caffe.core.blob import check_shape
from caffe.errors import CaffeError


class NumpyBlob:
    """`data` is a float32 NumPy array, zeros until it is assigned: a filler fills nothing here."""

    def __init__(self, shape=()):
        self._shape = check_shape(shape)
        self._data = None

    @property
    def shape(self):
        """The axes, as a tuple of ints."""
        return self._shape

    @property
    def count(self):
        """The number of elements."""
        return math.prod(self._shape)

    @property
    def data(self):
        """float32 array of `shape`."""
        if self._data is None:
            self._data = np.zeros(self._shape, np.float32)
        return self._data

    @property
    def tensor(self):
        """Not here: whoever asks wants to run the net."""
        raise CaffeError("this net was made to be described, not to be run")

    grad = diff = tensor

    def reshape(self, *shape):
        """Give the blob another shape; what it holds is kept where the count stays the same."""
        shape = check_shape(shape)
        same = math.prod(shape) == self.count
        self._shape = shape
        self._data = self._data.reshape(shape) if same and self._data is not None else None

    def assign(self, array):
        """Take `array` (same count) as `data`; it is not copied where it is float32 already."""
        self._data = np.ascontiguousarray(array, np.float32).reshape(self._shape)

    def view(self, shape):
        """A blob of another shape over the same memory (a shared weight)."""
        other = NumpyBlob(shape)
        other._data = self.data.reshape(shape)
        return other

    def share(self, owner):
        """Have the shape and the data of `owner`."""
        self._shape, self._data = owner.shape, owner.data

    def set_initializer(self, function):
        """Nothing: weights that are not assigned are zero."""

    def require_grad(self):
        """Nothing: no derivative is ever asked for."""


def make(shape, device):
    """A Blob on `device`, or a PlainBlob where there is none."""
    from caffe.core.blob import Blob

    return NumpyBlob(shape) if device is None else Blob(shape, device)
