"""NumpyBlob: shape and data of a blob without torch, for build-only nets."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from caffe.core.blob import Blob, check_shape
from caffe.errors import CaffeError

NOT_RUNNABLE = "this net was built with build_only=True and cannot be run"


class NumpyBlob:
    """A blob whose `data` is a float32 NumPy array, zero until assigned; fillers are ignored."""

    def __init__(self, shape: Iterable[int] = ()) -> None:
        self._shape = check_shape(shape)
        self._data: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The axes, as a tuple of ints."""
        return self._shape

    @property
    def count(self) -> int:
        """The number of elements."""
        return math.prod(self._shape)

    @property
    def data(self) -> np.ndarray:
        """float32 array of `shape`."""
        if self._data is None:
            self._data = np.zeros(self._shape, np.float32)
        return self._data

    @property
    def tensor(self) -> Any:
        """Not available: tensors are for nets that can be run."""
        raise CaffeError(NOT_RUNNABLE)

    grad = diff = tensor

    def reshape(self, *shape: int) -> None:
        """Change the shape; the values are kept if the number of elements stays the same."""
        shape = check_shape(shape)
        same_count = math.prod(shape) == self.count
        self._shape = shape
        self._data = self._data.reshape(shape) if same_count and self._data is not None else None

    def assign(self, array: Any) -> None:
        """Use `array` (same number of elements) as `data`; a contiguous float32 array is not copied."""
        self._data = np.ascontiguousarray(array, np.float32).reshape(self._shape)

    def view(self, shape: tuple[int, ...]) -> NumpyBlob:
        """Return a blob of another shape that shares the data (a shared weight)."""
        other = NumpyBlob(shape)
        other._data = self.data.reshape(shape)
        return other

    def share(self, owner: NumpyBlob) -> None:
        """Share the shape and the data of `owner`."""
        self._shape, self._data = owner.shape, owner.data

    def set_initializer(self, function: Any) -> None:
        """Do nothing: weights that are not assigned are zero."""

    def require_grad(self) -> None:
        """Do nothing: a build-only net has no gradients."""


def make(shape: Iterable[int], device: Any) -> Blob | NumpyBlob:
    """Return a Blob on `device`, or a NumpyBlob if `device` is None."""
    return NumpyBlob(shape) if device is None else Blob(shape, device)
