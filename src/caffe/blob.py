"""Blob: a data array and a diff array of one shape, live to NumPy and to torch alike (Caffe's blob.hpp)."""

from __future__ import annotations

import math

import numpy as np
import torch

from caffe.errors import CaffeError

MAX_COUNT = 2**31 - 1  # Caffe's own bound on the elements of a blob


def check_shape(shape):
    """Return `shape` as a tuple of ints; refuse negative axes, more than 32 axes and more than 2^31-1 elements."""
    shape = tuple(int(d) for d in shape)
    if len(shape) > 32 or any(d < 0 for d in shape) or math.prod(shape) > MAX_COUNT:
        raise CaffeError("a blob of shape %s is refused: at most 32 axes, none negative, at most 2^31-1 elements" % (shape,))
    return shape


class _Half:
    """One of the two arrays. Allocated when first asked for; keeps its memory once NumPy has seen it."""

    __slots__ = ("tensor", "seen", "fill")

    def __init__(self):
        self.tensor = None
        self.seen = False  # a NumPy view was handed out: results must be copied in, not bound
        self.fill = None  # called with the fresh tensor, when somebody first looks

    def get(self, shape, device):
        if self.tensor is None:
            self.tensor = torch.zeros(shape, device=device)
            if self.fill is not None:
                fill, self.fill = self.fill, None
                with torch.no_grad():
                    fill(self.tensor)
        elif self.tensor.device != device:
            self.tensor = self.tensor.to(device)
            self.seen = False
        return self.tensor

    def put(self, tensor):
        # Written through NumPy where a view is out: Caffe's arrays are live, and torch need not know.
        self.fill = None
        if self.seen and self.tensor.shape == tensor.shape and tensor.device.type == "cpu":
            np.copyto(self.tensor.detach().numpy(), tensor.detach().float().numpy())
        else:
            self.tensor, self.seen = tensor, False

    def numpy(self, shape, device):
        tensor = self.get(shape, device)
        plain = tensor.detach().to("cpu", torch.float32).contiguous()
        if plain.data_ptr() != tensor.data_ptr() or plain.dtype != tensor.dtype:
            self.tensor = plain.requires_grad_(tensor.requires_grad)
        self.seen = True
        return self.tensor.detach().numpy()


class Blob:
    """`data` and `diff` are float32 NumPy arrays of Caffe's shape that may be read and written at any time.

    `tensor` and `grad` are the same memory as torch tensors on the blob's device. A layer's result is bound
    with `set`, which costs a copy only where a NumPy view of the old result is out.
    """

    def __init__(self, shape=(), device="cpu"):
        self._shape = check_shape(shape)
        self.device = torch.device(device)
        self._data = _Half()
        self._diff = _Half()

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
            raise CaffeError("num, channels, height and width are for blobs of at most 4 axes, this one has %d" % len(self._shape))
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
            half.tensor = half.tensor.detach().reshape(shape) if same else None
            half.seen = half.seen and same

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
            self._diff.tensor.add_(tensor)

    def clear_grad(self):
        """Set `diff` to zero; the memory is kept only where somebody else sees it."""
        if self._diff.tensor is not None:
            if self._diff.seen:
                self._diff.tensor.zero_()
            else:
                self._diff.tensor = None

    @property
    def held(self):
        """Whether a NumPy view of `data` is out, so that `set` overwrites the old values in place."""
        return self._data.seen

    def learn(self):
        """Let autograd give the derivative by this blob's values (a weight)."""
        self.tensor.requires_grad_(True)

    def view(self, shape):
        """A blob of another shape over the same memory, data and diff (a shared weight)."""
        other = Blob(shape, self.device)
        other._data.tensor = self.tensor.detach().view(shape)
        other._diff.tensor = self.grad.view(shape)
        self._diff.seen = other._diff.seen = True  # both must go on using this memory
        return other

    def share_data(self, owner):
        """Read and write the data of `owner` (Blob of the same shape) from now on."""
        self._data = owner._data

    def share(self, owner):
        """Be another name for `owner` (Blob): its shape, data and diff."""
        self._shape, self._data, self._diff = owner._shape, owner._data, owner._diff

    def fill_with(self, function):
        """Have `function(tensor)` set the values when they are first looked at, unless they are assigned before."""
        self._data.fill = function

    def assign(self, array):
        """Copy `array` (same count) into `data`, keeping the memory that others share."""
        self._data.fill = None
        with torch.no_grad():
            source = torch.from_numpy(np.ascontiguousarray(array, np.float32).reshape(self._shape))
            self.tensor.copy_(source)
