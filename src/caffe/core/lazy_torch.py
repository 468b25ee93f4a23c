"""torch, imported on first use.

Importing torch takes a second and 200 MB, and nets can be built, given weights and exported without it.
"""

import importlib
from typing import Any

from caffe.core.openmp import limit_openmp_spin


class _LazyModule:
    """A module that is imported on first attribute access; attributes are cached."""

    def __init__(self, name):
        self._name = name

    def __getattr__(self, name):
        limit_openmp_spin()
        value = getattr(importlib.import_module(self._name), name)
        setattr(self, name, value)
        return value


torch = _LazyModule("torch")
F = _LazyModule("torch.nn.functional")


class Function:
    """Base of lazily created torch.autograd.Function classes."""

    @classmethod
    def apply(cls, *inputs):
        """Apply the function; the subclass defines static `forward` and `backward` as torch.autograd.Function does."""
        members = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
        function: Any = type(cls.__name__, (torch.autograd.Function,), members)
        cls.apply = function.apply  # type: ignore[method-assign]
        return cls.apply(*inputs)
