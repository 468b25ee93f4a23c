"""MemoryData: batches of arrays that the user hands over."""

import numpy as np

from caffe.core import glog
from caffe.core.lazy_torch import torch
from caffe.errors import CaffeError
from caffe.layers.base import Layer, register


@register
class MemoryData(Layer):
    """Gives `batch_size` items after another of the arrays set by `net.set_input_arrays(data, labels)`, round
    and round (memory_data_layer.cpp).

    The arrays are used where they are, not copied; they are not transformed. batch_size, channels, height and
    width must be given.
    """

    num_bottom = 0
    num_top = 2
    is_data = True
    no_onnx = "it hands out arrays; in a deploy net an Input stands in its place"

    def setup(self):
        p = self.param.memory_data_param
        self.batch_size = p.batch_size
        self.item = (p.channels, p.height, p.width)
        self.need(
            p.batch_size > 0 and min(self.item) > 0,
            "memory_data_param: batch_size, channels, height and width must be given and positive, "
            "received %d, %d, %d, %d",
            p.batch_size,
            *self.item,
        )
        self._data = self._labels = None
        self.position = 0

    def top_shapes(self):
        return [(self.batch_size, *self.item), (self.batch_size,)]

    def set_arrays(self, data, labels):
        """Hand over float32 `data` (n, channels, height, width) and `labels` (n) or (n, 1, 1, 1); n a
        multiple of batch_size.
        """
        data, labels = np.asarray(data), np.asarray(labels)
        faults = [
            *self._faults("data array", data, self.item),
            *self._faults("labels array", labels, (1, 1, 1)),
        ]
        if len(data) != len(labels):
            faults.append(
                "data and labels must have the same first dimension, received %d and %d" % (len(data), len(labels))
            )
        elif not len(data) or len(data) % self.batch_size:
            faults.append("%d items are no multiple of the batch size %d" % (len(data), self.batch_size))
        if faults:
            raise CaffeError("layer '{}': {}".format(self.name, "; ".join(faults)))
        if self.param.HasField("transform_param"):
            glog.warning("MemoryData does not transform array data on Reset()", "memory_data_layer.cpp:85")
        self._data, self._labels, self.position = data, labels.reshape(-1), 0

    def reset(self, data, labels, n=None):
        """`set_arrays` with the first `n` items."""
        self.set_arrays(data[:n], labels[:n])

    @staticmethod
    def _faults(name, array, item):
        if array.dtype != np.float32:
            yield f"{name} must be float32, received {array.dtype}"
        if not array.flags.c_contiguous:
            yield f"{name} must be C contiguous"
        if array.shape[1:] != item and not (item == (1, 1, 1) and array.ndim == 1):
            yield "%s must be n x %d x %d x %d, received %s" % (name, *item, array.shape)

    def forward(self):
        self.need(
            self._data is not None,
            "MemoryData has no data yet: call net.set_input_arrays(data, labels) first",
        )
        part = slice(self.position, self.position + self.batch_size)
        self.position = (self.position + self.batch_size) % len(self._data)
        arrays = self._data[part], self._labels[part]
        return tuple(torch.tensor(array, device=self.device) for array in arrays)  # a copy: layers may work in place

    def state(self):
        """The item that comes next."""
        return {"position": self.position}

    def restore(self, state):
        """Go on where `state` was taken, with the same arrays set before."""
        self.position = state["position"]
