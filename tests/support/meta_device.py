"""A device that is not the CPU, for machines without one: its tensors hold numbers, and refuse those of the CPU.

PyTorch's device type "lazy" stands for CUDA: nothing else here uses it. Each operation looks where its tensors live, as
CUDA's would, and is then done on the CPU.
"""

import contextlib
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from caffe.core import config, lazy_torch

DEVICE = torch.device("lazy", 0)
_MOVES = (torch.ops.aten._to_copy, torch.ops.aten.copy_)  # these alone may read one device and write another


class There(torch.Tensor):
    """A tensor on DEVICE; `here` holds its numbers."""

    @staticmethod
    def __new__(cls, here):
        made = torch.Tensor._make_wrapper_subclass(
            cls, here.size(), strides=here.stride(), storage_offset=here.storage_offset(),
            dtype=here.dtype, device=DEVICE,
        )  # fmt: skip
        made.here = here
        return made

    def untyped_storage(self):
        return self.here.untyped_storage()

    def data_ptr(self):
        return self.here.data_ptr()

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return _run(operation, args, kwargs or {})


class Generator(torch.Generator):
    """A source of random numbers on DEVICE; an operation sees no more of it than its seed."""

    seeds: set = set()

    def __new__(cls, device="cpu"):
        return super().__new__(cls if torch.device(device).type == DEVICE.type else torch.Generator)

    def manual_seed(self, seed):
        self.seeds.add(seed)
        return super().manual_seed(seed)


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        return _run(operation, args, kwargs or {})


@contextlib.contextmanager
def other_device():
    """Nets made meanwhile live on DEVICE."""
    generators = [mock.patch.object(module, "Generator", Generator) for module in (torch, lazy_torch.torch)]
    with mock.patch.object(config, "device", lambda: DEVICE), generators[0], generators[1], _Mode():
        yield


def _run(operation, args, kwargs):
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    there = [isinstance(tensor, There) for tensor in tensors]
    if operation.overloadpacket not in _MOVES:
        _refuse_mixtures(operation, tensors, kwargs.get("generator"))
    goal, kwargs = any(there), dict(kwargs)
    if operation.overloadpacket is torch.ops.aten.copy_:
        goal = isinstance(args[0], There)
    if kwargs.get("device") is not None:
        goal, kwargs["device"] = torch.device(kwargs["device"]).type == DEVICE.type, torch.device("cpu")
    result = operation(*tree_map(_here, args), **tree_map(_here, kwargs))
    if not goal:
        return result
    known = {id(tensor.here): tensor for tensor in tensors if isinstance(tensor, There)}  # changed in place
    return tree_map(lambda leaf: known[id(leaf)] if id(leaf) in known else _there(leaf), result)


def _refuse_mixtures(operation, tensors, generator):
    there = [isinstance(tensor, There) for tensor in tensors]
    if any(there) and any(not t and tensor.dim() for t, tensor in zip(there, tensors)):
        raise RuntimeError(f"{operation}: tensors of two devices")
    if any(there) and generator is not None and generator.initial_seed() not in Generator.seeds:
        raise RuntimeError(f"{operation}: the generator is the CPU's")


def _here(leaf):
    return leaf.here if isinstance(leaf, There) else leaf


def _there(leaf):
    return There(leaf) if isinstance(leaf, torch.Tensor) else leaf
