"""Blob: a data array and a diff array of one shape, shared by NumPy and torch (Caffe's blob.hpp)."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.errors import CaffeError

MAX_COUNT = 2**31 - 1  # Caffe's limit on the number of elements of a blob


def check_shape(shape: Iterable[int]) -> tuple[int, ...]:
    """Return `shape` as a tuple of ints; reject negative axes, more than 32 axes and more than 2^31-1 elements."""
    shape = tuple(int(d) for d in shape)
    if len(shape) > 32 or any(d < 0 for d in shape) or math.prod(shape) > MAX_COUNT:
        raise CaffeError(
            f"invalid blob shape {shape}: expected at most 32 axes, none negative, and at most 2^31-1 elements"
        )
    return shape


def _zeros(shape, device):
    try:
        return torch.zeros(shape, device=device)
    except (RuntimeError, MemoryError) as error:
        raise CaffeError(
            f"not enough memory for a blob of shape {tuple(shape)} ({4 * math.prod(shape) / 1e9:.1f} GB)"
        ) from error


class _Storage:
    """One of a blob's two arrays. Allocated on first access; keeps its memory while a NumPy view is alive."""

    __slots__ = ("tensor", "shared", "initializer", "pending", "freed", "_root")

    def __init__(self):
        self.tensor: Any = None
        self.shared = False  # another blob uses this memory
        self.initializer = None  # called with the new tensor on first access
        self.pending = None  # tensor -> tensor: applied to the values on the next access
        self.freed = False  # `free` dropped the values
        self._root = None  # weak reference to the array whose views were handed out

    @property
    def aliased(self):
        """Whether this memory is referenced elsewhere, so that results must be copied in instead of bound."""
        return self.shared or (self._root is not None and self._root() is not None)

    def get(self, shape, device):
        if self.pending is not None:
            pending, self.pending = self.pending, None
            with torch.no_grad():
                self.tensor = pending(self.tensor)
        elif self.tensor is None:
            self.tensor, self.freed = _zeros(shape, device), False
            if self.initializer is not None:
                initializer, self.initializer = self.initializer, None
                with torch.no_grad():
                    initializer(self.tensor)
        elif self.tensor.device != device:
            self.rebind(self.tensor.detach().to(device).requires_grad_(self.tensor.requires_grad))
        return self.tensor

    def put(self, tensor):
        # If a view is alive, write through NumPy: Caffe's arrays are live, and autograd need not track the write.
        self.initializer = self.pending = None
        if self.aliased and self.tensor.shape == tensor.shape and tensor.device.type == "cpu":
            np.copyto(self.tensor.detach().numpy(), tensor.detach().float().numpy())
        else:
            self.rebind(tensor)

    def rebind(self, tensor):
        """Use `tensor` from now on; existing NumPy views are detached from this blob."""
        self.tensor, self.shared, self.freed, self._root = tensor, False, False, None

    def free(self):
        """Drop the values, unless they are referenced elsewhere."""
        if not self.aliased:
            self.tensor, self.pending, self.freed = None, None, True

    def require_values(self):
        if self.freed:
            raise CaffeError(
                "this blob was freed to save memory, because no later layer of the training step needs it "
                "(Solver.free_blobs)"
            )

    def numpy(self, shape, device):
        tensor = self.get(shape, device)
        root = self._root and self._root()
        if root is None:
            plain = tensor.detach().to("cpu", torch.float32).contiguous()
            if plain.data_ptr() != tensor.data_ptr() or plain.dtype != tensor.dtype:
                self.tensor = plain.requires_grad_(tensor.requires_grad)
            root = self.tensor.detach().numpy()
            self._root = weakref.ref(root)
        return root.reshape(shape)  # a view, and every view keeps `root` alive


class Blob:
    """A data array and a diff (gradient) array of the same shape.

    `data` and `diff` are live float32 NumPy arrays. `tensor` and `grad` are the same memory as torch tensors on the
    blob's device. `set` binds a layer's result; it copies only while a NumPy view of the old result is alive.

    Parameters
    ----------
    shape : tuple of int
        At most 32 axes.
    device : torch.device or str
        Where `tensor` and `grad` are allocated.
    """

    def __init__(self, shape: Iterable[int] = (), device: Any = "cpu") -> None:
        self._shape = check_shape(shape)
        self.device = torch.device(device)
        self._data = _Storage()
        self._diff = _Storage()

    # -- shape ----------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The axes, as a tuple of ints."""
        return self._shape

    @property
    def count(self) -> int:
        """The number of elements."""
        return math.prod(self._shape)

    def _legacy_axis(self, axis):
        if len(self._shape) > 4:
            raise CaffeError(
                f"num, channels, height and width need a blob of at most 4 axes, received {len(self._shape)}"
            )
        return self._shape[axis] if axis < len(self._shape) else 1

    num = property(lambda self: self._legacy_axis(0))
    channels = property(lambda self: self._legacy_axis(1))
    height = property(lambda self: self._legacy_axis(2))
    width = property(lambda self: self._legacy_axis(3))

    def reshape(self, *shape: int) -> None:
        """Change the shape; the values are kept if the number of elements stays the same."""
        shape = check_shape(shape)
        if shape == self._shape:
            return
        same_count = math.prod(shape) == self.count
        self._shape = shape
        for storage in (self._data, self._diff):
            if storage.tensor is None and storage.pending is None:
                continue
            if same_count:
                storage.tensor = storage.get(shape, self.device).detach().reshape(shape)
            else:
                storage.pending = None
                storage.rebind(None)

    # -- NumPy interface ------------------------------------------------------------------------

    @property
    def data(self) -> np.ndarray:
        """Live float32 array of `shape`: the next layer reads what is written here."""
        self._data.require_values()
        return self._data.numpy(self._shape, self.device)

    @property
    def diff(self) -> np.ndarray:
        """Live float32 array of `shape`: the gradient of the loss with respect to `data`."""
        self._diff.require_values()
        return self._diff.numpy(self._shape, self.device)

    # -- torch interface ------------------------------------------------------------------------

    @property
    def tensor(self) -> Any:
        """`data` as a torch tensor on the blob's device."""
        self._data.require_values()
        return self._data.get(self._shape, self.device)

    @property
    def grad(self) -> Any:
        """`diff` as a torch tensor on the blob's device."""
        return self._diff.get(self._shape, self.device)

    def set(self, tensor: Any) -> None:
        """Bind `tensor` as `data` and take its shape."""
        self._shape = tuple(tensor.shape)
        self._data.put(tensor)

    def set_grad(self, tensor: Any) -> None:
        """Bind `tensor` as `diff`."""
        self._diff.put(tensor)

    def add_grad(self, tensor: Any) -> None:
        """Add `tensor` to `diff` (gradients of weights accumulate until they are cleared)."""
        if self._diff.tensor is None:
            self._diff.tensor = tensor if tensor.dtype == torch.float32 else tensor.float()
        else:
            self.grad.add_(tensor)

    def clear_grad(self) -> None:
        """Set `diff` to zero and free its memory unless it is referenced elsewhere."""
        if self._diff.tensor is not None:
            if self._diff.aliased:
                self._diff.tensor.zero_()
            else:
                self._diff.tensor = self._diff.pending = None

    def free(self) -> None:
        """Drop data and diff until they are set again; reading them before that raises CaffeError."""
        self._data.free()
        self._diff.free()

    @property
    def has_live_view(self) -> bool:
        """Whether a NumPy view of `data` is alive, so that `set` overwrites the old values in place."""
        return self._data.aliased

    @property
    def was_viewed(self) -> bool:
        """Whether NumPy views of `data` have been handed out, through which it may have been changed."""
        return self._data._root is not None

    def forget_views(self) -> None:
        """Make `was_viewed` False, unless a view is alive."""
        if not self._data.aliased:
            self._data._root = None

    @property
    def has_live_grad_view(self) -> bool:
        """Whether a NumPy view of `diff` is alive."""
        return self._diff.aliased

    def set_pending(self, function: Callable[[Any], Any]) -> None:
        """Apply `function(tensor) -> tensor` to `data` on the next access; requires that no view is alive."""
        self._data.pending = function

    def set_pending_grad(self, function: Callable[[Any], Any]) -> None:
        """Apply `function(tensor) -> tensor` to `diff` on the next access; requires that no view is alive."""
        self._diff.pending = function

    def clear_pending(self) -> None:
        """Drop the pending function of `data`."""
        self._data.pending = None

    @property
    def pending_tensor(self) -> Any:
        """The values of `data` before the pending function is applied; None if no function is pending."""
        return self._data.tensor if self._data.pending is not None else None

    def require_grad(self) -> None:
        """Make autograd compute the gradient with respect to this blob (a weight)."""
        self.tensor.requires_grad_(True)

    def view(self, shape: tuple[int, ...]) -> Blob:
        """Return a blob of another shape that shares data and diff (a shared weight)."""
        other = Blob(shape, self.device)
        other._data.tensor = self.tensor.detach().view(shape)
        other._diff.tensor = self.grad.view(shape)
        self._diff.shared = other._diff.shared = True  # both must keep using this memory
        return other

    def share_data(self, owner: Blob) -> None:
        """Share the data of `owner`, which has the same shape."""
        self._data = owner._data

    def share(self, owner: Blob) -> None:
        """Share the shape, data and diff of `owner`."""
        self._shape, self._data, self._diff = owner._shape, owner._data, owner._diff

    def set_initializer(self, function: Callable[[Any], Any]) -> None:
        """Initialize the values with `function(tensor)` on first access, unless they are assigned earlier."""
        self._data.initializer = function

    def assign(self, array: Any) -> None:
        """Copy `array` (same number of elements) into `data`, without moving shared memory."""
        self._data.initializer = None
        with torch.no_grad():
            source = torch.from_numpy(np.ascontiguousarray(array, np.float32).reshape(self._shape))
            self.tensor.copy_(source)
