"""A simulated device that is not the CPU, for machines without a GPU; it refuses to mix its tensors with the CPU's.

It uses PyTorch's device type "lazy", which nothing else here uses. Each operation checks the devices of its tensors,
as CUDA's would, and then runs on the CPU.
"""

import contextlib
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from caffe.core import config, lazy_torch

DEVICE = torch.device("lazy", 0)
_MOVES = (torch.ops.aten._to_copy, torch.ops.aten.copy_)  # only these may read one device and write another


class DeviceTensor(torch.Tensor):
    """A tensor on DEVICE; `cpu_tensor` holds its values."""

    @staticmethod
    def __new__(cls, cpu_tensor):
        tensor = torch.Tensor._make_wrapper_subclass(
            cls,
            cpu_tensor.size(),
            strides=cpu_tensor.stride(),
            storage_offset=cpu_tensor.storage_offset(),
            dtype=cpu_tensor.dtype,
            device=DEVICE,
        )
        tensor.cpu_tensor = cpu_tensor
        return tensor

    def untyped_storage(self):
        return self.cpu_tensor.untyped_storage()

    def data_ptr(self):
        return self.cpu_tensor.data_ptr()

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return _run(operation, args, kwargs or {})


class Generator(torch.Generator):
    """A random generator on DEVICE; operations identify it by its seed."""

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
    """Context in which nets are created on DEVICE."""
    generators = [mock.patch.object(module, "Generator", Generator) for module in (torch, lazy_torch.torch)]
    with mock.patch.object(config, "device", lambda: DEVICE), generators[0], generators[1], _Mode():
        yield


def _run(operation, args, kwargs):
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    on_device = any(isinstance(tensor, DeviceTensor) for tensor in tensors)
    if operation.overloadpacket not in _MOVES:
        _refuse_mixed_devices(operation, tensors, kwargs.get("generator"))
    result_on_device, kwargs = on_device, dict(kwargs)
    if operation.overloadpacket is torch.ops.aten.copy_:
        result_on_device = isinstance(args[0], DeviceTensor)
    if kwargs.get("device") is not None:
        result_on_device = torch.device(kwargs["device"]).type == DEVICE.type
        kwargs["device"] = torch.device("cpu")
    result = operation(*tree_map(_to_cpu, args), **tree_map(_to_cpu, kwargs))
    if not result_on_device:
        return result
    wrappers = {id(tensor.cpu_tensor): tensor for tensor in tensors if isinstance(tensor, DeviceTensor)}
    # an operation in place returns its argument, which has its wrapper already
    return tree_map(lambda leaf: wrappers[id(leaf)] if id(leaf) in wrappers else _to_device(leaf), result)


def _refuse_mixed_devices(operation, tensors, generator):
    on_device = [isinstance(tensor, DeviceTensor) for tensor in tensors]
    if any(on_device) and any(not flag and tensor.dim() for flag, tensor in zip(on_device, tensors)):
        raise RuntimeError(f"{operation}: tensors of two devices")
    if any(on_device) and generator is not None and generator.initial_seed() not in Generator.seeds:
        raise RuntimeError(f"{operation}: the generator is the CPU's")


def _to_cpu(leaf):
    return leaf.cpu_tensor if isinstance(leaf, DeviceTensor) else leaf


def _to_device(leaf):
    return DeviceTensor(leaf) if isinstance(leaf, torch.Tensor) else leaf
