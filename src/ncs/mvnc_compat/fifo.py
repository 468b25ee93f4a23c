"""Fifo and TensorDescriptor of mvncapi v2."""

from __future__ import annotations

import collections
import threading
from typing import Any

import numpy as np

from ncs.mvnc_compat import layout
from ncs.mvnc_compat.options import FifoDataType, FifoOption, FifoState, FifoType, MvncError, Status


class TensorDescriptor:
    """Sizes and strides (bytes) of a tensor in the NCSDK's layout (H, W, C)."""

    def __init__(
        self, n: int = 1, c: int = 1, h: int = 1, w: int = 1, data_type: FifoDataType = FifoDataType.FP32
    ) -> None:
        self.n, self.c, self.h, self.w = n, c, h, w
        self.dataType = data_type
        size = 2 if data_type == FifoDataType.FP16 else 4
        self.cStride, self.wStride, self.hStride = size, size * c, size * c * w
        self.totalSize = size * n * c * h * w


class Fifo:
    """A queue between host and graph; `allocate` sets its capacity."""

    def __init__(self, name: str, fifo_type: FifoType) -> None:
        self.name = name
        self._type = FifoType(fifo_type)
        self._data_type = FifoDataType.FP32
        self._capacity = 0
        self._dont_block = False
        self._descriptor: TensorDescriptor | None = None
        self.host_descriptor: TensorDescriptor | None = None  # RW_HOST_TENSOR_DESCRIPTOR, if it was set
        self._elements: collections.deque[tuple[Any, Any]] = collections.deque()
        self._changed = threading.Condition()

    def allocate(self, device: Any, tensor_desc: TensorDescriptor, num_elem: int) -> None:
        """Allocate space for `num_elem` tensors."""
        device.check_open()
        if num_elem < 1:
            raise MvncError(Status.INVALID_PARAMETERS, f"expected num_elem of at least 1, received {num_elem}")
        self._descriptor, self._capacity = tensor_desc, num_elem

    def write_elem(self, tensor: np.ndarray, user_obj: Any = None) -> None:
        """Append a tensor; waits for space unless RW_DONT_BLOCK is set."""
        if self._type != FifoType.HOST_WO:
            raise MvncError(Status.UNAUTHORIZED, f"the host may not write into fifo '{self.name}'")
        self.put(np.array(tensor, np.float32), user_obj)  # a copy: the host may reuse its array

    def read_elem(self) -> tuple[np.ndarray, Any]:
        """Remove and return (tensor, user object) of the oldest result; waits for it unless RW_DONT_BLOCK is set."""
        if self._type != FifoType.HOST_RO:
            raise MvncError(Status.UNAUTHORIZED, f"the host may not read from fifo '{self.name}'")
        element, user_obj = self.take()
        if isinstance(element, Exception):
            raise element
        return element.astype(np.float16 if self._data_type == FifoDataType.FP16 else np.float32), user_obj

    def remove_elem(self) -> None:
        """Discard the oldest element."""
        self.take()

    def put(self, element: Any, user_obj: Any, wait: bool = False) -> None:
        """Append an element; the graph waits for space even if RW_DONT_BLOCK is set, which is the host's."""
        with self._changed:
            self._check()
            if self._dont_block and not wait and len(self._elements) >= self._capacity:
                raise MvncError(Status.BUSY, f"fifo '{self.name}' is full")
            self._changed.wait_for(lambda: len(self._elements) < self._capacity or not self._capacity)
            self._check()
            self._elements.append((element, user_obj))
            self._changed.notify_all()

    def take(self, wait: bool = False) -> tuple[Any, Any]:
        """Remove and return the oldest element; the graph waits for it even if RW_DONT_BLOCK is set."""
        with self._changed:
            self._check()
            if self._dont_block and not wait and not self._elements:
                raise MvncError(Status.BUSY, f"fifo '{self.name}' is empty")
            self._changed.wait_for(lambda: self._elements or not self._capacity)
            self._check()
            element = self._elements.popleft()
            self._changed.notify_all()
            return element

    def get_option(self, option: FifoOption) -> Any:
        """Return the value of an option."""
        option = FifoOption(option)
        values = {
            FifoOption.RW_TYPE: self._type,
            FifoOption.RW_CONSUMER_COUNT: 1,
            FifoOption.RW_DATA_TYPE: self._data_type,
            FifoOption.RW_DONT_BLOCK: int(self._dont_block),
            FifoOption.RO_CAPACITY: self._capacity,
            FifoOption.RO_READ_FILL_LEVEL: len(self._elements),
            FifoOption.RO_WRITE_FILL_LEVEL: len(self._elements),
            FifoOption.RO_NAME: self.name,
            FifoOption.RO_GRAPH_TENSOR_DESCRIPTOR: self._descriptor,
            FifoOption.RW_HOST_TENSOR_DESCRIPTOR: self.host_descriptor or self._descriptor,
            FifoOption.RO_STATE: FifoState.ALLOCATED if self._capacity else FifoState.CREATED,
            FifoOption.RO_ELEMENT_DATA_SIZE: self._descriptor.totalSize if self._descriptor else 0,
        }
        return values[option]

    def set_option(self, option: FifoOption, value: Any) -> None:
        """Set a writable option."""
        option = FifoOption(option)
        if option == FifoOption.RW_DATA_TYPE:
            self._data_type = FifoDataType(value)
        elif option == FifoOption.RW_DONT_BLOCK:
            self._dont_block = bool(value)
        elif option == FifoOption.RW_TYPE:
            self._type = FifoType(value)
        elif option == FifoOption.RW_HOST_TENSOR_DESCRIPTOR:
            layout.check(value)
            self.host_descriptor, self._data_type = value, FifoDataType(value.dataType)
        else:
            raise MvncError(Status.UNSUPPORTED_FEATURE, f"{option} cannot be set")

    def destroy(self) -> None:
        """Release the queue; waiting callers receive NOT_ALLOCATED."""
        with self._changed:
            self._capacity = 0
            self._elements.clear()
            self._changed.notify_all()

    def _check(self) -> None:
        if not self._capacity:
            raise MvncError(Status.NOT_ALLOCATED, f"fifo '{self.name}' is not allocated")
