"""MemoryData: batches of arrays that the user passes in."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core import glog
from caffe.core.lazy_torch import torch
from caffe.errors import CaffeError
from caffe.layers.base import Layer, Shape, Tensor, register


@register
class MemoryData(Layer):
    """Batches of the arrays set by `net.set_input_arrays(data, labels)`, in a cycle (memory_data_layer.cpp).

    The arrays are neither copied nor transformed. batch_size, channels, height and width are required.
    """

    num_bottom = 0
    num_top = 2
    is_data = True
    no_onnx = "it provides arrays; a deploy net has an Input instead"

    def setup(self) -> None:
        p = self.param.memory_data_param
        self.batch_size = p.batch_size
        self.item = (p.channels, p.height, p.width)
        self.need(
            p.batch_size > 0 and min(self.item) > 0,
            "memory_data_param: batch_size, channels, height and width must be positive, received %d, %d, %d, %d",
            p.batch_size,
            *self.item,
        )
        self._data: Any = None
        self._labels: Any = None
        self.position = 0

    def top_shapes(self) -> list[Shape]:
        return [(self.batch_size, *self.item), (self.batch_size,)]

    def set_arrays(self, data: Any, labels: Any) -> None:
        """Set the records of the layer.

        Parameters
        ----------
        data : array_like
            float32, n x channels x height x width; n a multiple of batch_size.
        labels : array_like
            float32, n or n x 1 x 1 x 1.
        """
        data, labels = np.asarray(data), np.asarray(labels)
        errors = [
            *self._errors("data array", data, self.item),
            *self._errors("labels array", labels, (1, 1, 1)),
        ]
        if len(data) != len(labels):
            errors.append(f"data and labels must have the same first dimension, received {len(data)} and {len(labels)}")
        elif not len(data) or len(data) % self.batch_size:
            errors.append(f"expected a multiple of the batch size {self.batch_size}, received {len(data)} items")
        if errors:
            details = "; ".join(errors)
            raise CaffeError(f"layer '{self.name}': {details}")
        if self.param.HasField("transform_param"):
            glog.warning("MemoryData does not transform array data on Reset()", "memory_data_layer.cpp:85")
        self._data, self._labels, self.position = data, labels.reshape(-1), 0

    def reset(self, data: Any, labels: Any, n: int | None = None) -> None:
        """Call `set_arrays` with the first `n` items."""
        self.set_arrays(data[:n], labels[:n])

    @staticmethod
    def _errors(name, array, item):
        if array.dtype != np.float32:
            yield f"{name} must be float32, received {array.dtype}"
        if not array.flags.c_contiguous:
            yield f"{name} must be C contiguous"
        if array.shape[1:] != item and not (item == (1, 1, 1) and array.ndim == 1):
            expected = " x ".join(map(str, ("n", *item)))
            yield f"{name} must be {expected}, received {array.shape}"

    def forward(self) -> Tensor:
        self.need(
            self._data is not None,
            "MemoryData has no data yet: call net.set_input_arrays(data, labels) first",
        )
        part = slice(self.position, self.position + self.batch_size)
        self.position = (self.position + self.batch_size) % len(self._data)
        arrays = self._data[part], self._labels[part]
        return tuple(torch.tensor(array, device=self.device) for array in arrays)  # a copy: layers may work in place

    def state(self) -> dict[str, int]:
        """Return the position of the next item."""
        return {"position": self.position}

    def restore(self, state: dict[str, int]) -> None:
        """Continue from `state`; the same arrays must have been set before."""
        self.position = state["position"]
