"""BlobVec: the weight blobs of a layer, as pycaffe's class of that name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from caffe.core.blob import Blob


class BlobVec(list):
    """The weight blobs of a layer; a Python layer allocates its own with `add_blob`."""

    def __init__(self, blobs: Iterable[Any], device: Any = "cpu") -> None:
        super().__init__(blobs)
        self.device = device

    def add_blob(self, *shape: int) -> Blob:
        """Append and return a zero-filled blob of `shape`."""
        self.append(Blob(shape, self.device))
        return self[-1]
