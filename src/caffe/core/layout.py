"""How the values of a 4-axis tensor lie in memory."""

from __future__ import annotations


def lay_out(tensor, memory_format=None):
    """Return `tensor` in `memory_format` (None: as it is); with a channel, row or column of one, in C order.

    torch ignores the stride of an axis of size 1, so both layouts fit such a tensor, and any number may stand
    there. oneDNN does read the number: it read other rows, and memory of others. Only C order has one meaning there.
    """
    if tensor.dim() != 4:
        return tensor
    if 1 in tensor.shape[1:]:
        return in_c_order(tensor)
    return tensor if memory_format is None else tensor.contiguous(memory_format=memory_format)


def in_c_order(tensor):
    """Return `tensor` contiguous, with the strides that torch gives a new tensor of its shape."""
    tensor = tensor.contiguous()
    strides = [1]
    for size in tensor.shape[:0:-1]:
        strides.insert(0, strides[0] * max(size, 1))
    return tensor if tensor.stride() == tuple(strides) else tensor.as_strided(tensor.shape, strides)
