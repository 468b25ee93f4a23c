"""Blob: a data array and a diff array of one shape, live to NumPy and to torch alike (Caffe's blob.hpp)."""

from __future__ import annotations

import math
import weakref

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.errors import CaffeError

MAX_COUNT = 2**31 - 1  # Caffe's own bound on the elements of a blob


def check_shape(shape):
    """Return `shape` as a tuple of ints; refuse negative axes, more than 32 axes and more than 2^31-1 elements."""
    shape = tuple(int(d) for d in shape)
    if len(shape) > 32 or any(d < 0 for d in shape) or math.prod(shape) > MAX_COUNT:
        raise CaffeError(f"a blob of shape {shape} is refused: at most 32 axes, none negative, at most 2^31-1 elements")
    return shape


def _zeros(shape, device):
    try:
        return torch.zeros(shape, device=device)
    except (RuntimeError, MemoryError) as error:
        raise CaffeError(
            f"a blob of shape {tuple(shape)} takes {4 * math.prod(shape) / 1e9:.1f} GB, and the memory does not suffice"
        ) from error


class _Storage:
    """One of the two arrays. Allocated when first asked for; keeps its memory while NumPy looks at it."""

    __slots__ = ("tensor", "shared", "fill", "later", "_root")

    def __init__(self):
        self.tensor = None
        self.shared = False  # another blob lives in this memory
        self.fill = None  # called with the fresh tensor, when somebody first looks
        self.later = None  # tensor -> tensor: what is still to be done to the values, when somebody looks
        self._root = None  # weak reference to the array whose views were handed out

    @property
    def seen(self):
        """Whether somebody else holds this memory, so that results must be copied in, not bound."""
        return self.shared or (self._root is not None and self._root() is not None)

    def get(self, shape, device):
        if self.tensor is None:
            self.tensor = _zeros(shape, device)
            if self.fill is not None:
                fill, self.fill = self.fill, None
                with torch.no_grad():
                    fill(self.tensor)
        elif self.later is not None:
            later, self.later = self.later, None
            with torch.no_grad():
                self.tensor = later(self.tensor)
        elif self.tensor.device != device:
            self.drop_views(self.tensor.detach().to(device).requires_grad_(self.tensor.requires_grad))
        return self.tensor

    def put(self, tensor):
        # Written through NumPy where a view is out: Caffe's arrays are live, and torch need not know.
        self.fill = self.later = None
        if self.seen and self.tensor.shape == tensor.shape and tensor.device.type == "cpu":
            np.copyto(self.tensor.detach().numpy(), tensor.detach().float().numpy())
        else:
            self.drop_views(tensor)

    def drop_views(self, tensor):
        """Hold `tensor` instead; what NumPy still sees is no longer this blob's."""
        self.tensor, self.shared, self._root = tensor, False, None

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
    """`data` and `diff` are float32 NumPy arrays of Caffe's shape that may be read and written at any time.

    `tensor` and `grad` are the same memory as torch tensors on the blob's device. A layer's result is bound
    with `set`, which costs a copy only where a NumPy view of the old result is out.
    """

    def __init__(self, shape=(), device="cpu"):
        self._shape = check_shape(shape)
        self.device = torch.device(device)
        self._data = _Storage()
        self._diff = _Storage()

    # -- shape ----------------------------------------------------------------------------------

    @property
    def shape(self):
        """The axes, as a tuple of ints."""
        return self._shape

    @property
    def count(self):
        """The number of elements."""
        return math.prod(self._shape)

    def _legacy(self, axis):
        if len(self._shape) > 4:
            raise CaffeError(
                "num, channels, height, width are for blobs of at most 4 axes, here are %d" % len(self._shape)
            )
        return self._shape[axis] if axis < len(self._shape) else 1

    num = property(lambda self: self._legacy(0))
    channels = property(lambda self: self._legacy(1))
    height = property(lambda self: self._legacy(2))
    width = property(lambda self: self._legacy(3))

    def reshape(self, *shape):
        """Give the blob another shape; what it holds is kept where the count stays the same."""
        shape = check_shape(shape)
        if shape == self._shape:
            return
        same = math.prod(shape) == self.count
        self._shape = shape
        for half in (self._data, self._diff):
            if half.tensor is None:
                continue
            if same:
                half.tensor = half.get(shape, self.device).detach().reshape(shape)
            else:
                half.drop_views(None)

    # -- NumPy's side ---------------------------------------------------------------------------

    @property
    def data(self):
        """float32 array of `shape`, live: what is written here is what the next layer reads."""
        return self._data.numpy(self._shape, self.device)

    @property
    def diff(self):
        """float32 array of `shape`, live: the derivative of the loss by `data`."""
        return self._diff.numpy(self._shape, self.device)

    # -- torch's side ---------------------------------------------------------------------------

    @property
    def tensor(self):
        """`data` as a torch tensor on the blob's device."""
        return self._data.get(self._shape, self.device)

    @property
    def grad(self):
        """`diff` as a torch tensor on the blob's device."""
        return self._diff.get(self._shape, self.device)

    def set(self, tensor):
        """Bind a layer's result as `data`; the blob takes its shape."""
        self._shape = tuple(tensor.shape)
        self._data.put(tensor)

    def set_grad(self, tensor):
        """Bind a layer's result as `diff`."""
        self._diff.put(tensor)

    def add_grad(self, tensor):
        """Add a layer's result to `diff` (weights: gradients accumulate until they are cleared)."""
        if self._diff.tensor is None:
            self._diff.tensor = tensor if tensor.dtype == torch.float32 else tensor.float()
        else:
            self.grad.add_(tensor)

    def clear_grad(self):
        """Set `diff` to zero; the memory is kept only where somebody else sees it."""
        if self._diff.tensor is not None:
            if self._diff.seen:
                self._diff.tensor.zero_()
            else:
                self._diff.tensor = self._diff.later = None

    @property
    def has_live_view(self):
        """Whether a NumPy view of `data` is out, so that `set` overwrites the old values in place."""
        return self._data.seen

    @property
    def has_live_grad_view(self):
        """Whether a NumPy view of `diff` is out."""
        return self._diff.seen

    def set_pending(self, function):
        """Have `function(tensor) -> tensor` finish `data` when somebody looks; not for a blob that is held."""
        self._data.later = function

    def defer_grad(self, function):
        """Have `function(tensor) -> tensor` finish `diff` when somebody looks; not for a blob whose diff is held."""
        self._diff.later = function

    @property
    def pending_tensor(self):
        """What `data` holds before a deferred function has run; None where none is waiting."""
        return self._data.tensor if self._data.later is not None else None

    def require_grad(self):
        """Let autograd give the derivative by this blob's values (a weight)."""
        self.tensor.requires_grad_(True)

    def view(self, shape):
        """A blob of another shape over the same memory, data and diff (a shared weight)."""
        other = Blob(shape, self.device)
        other._data.tensor = self.tensor.detach().view(shape)
        other._diff.tensor = self.grad.view(shape)
        self._diff.shared = other._diff.shared = True  # both must go on using this memory
        return other

    def share_data(self, owner):
        """Read and write the data of `owner` (Blob of the same shape) from now on."""
        self._data = owner._data

    def share(self, owner):
        """Be another name for `owner` (Blob): its shape, data and diff."""
        self._shape, self._data, self._diff = owner._shape, owner._data, owner._diff

    def set_initializer(self, function):
        """Have `function(tensor)` set the values when they are first looked at, unless they are assigned before."""
        self._data.fill = function

    def assign(self, array):
        """Copy `array` (same count) into `data`, keeping the memory that others share."""
        self._data.fill = None
        with torch.no_grad():
            source = torch.from_numpy(np.ascontiguousarray(array, np.float32).reshape(self._shape))
            self.tensor.copy_(source)
