"""torch under its own name, imported when something of it is first used.

Nets are described, sized, given weights and exported without it; it takes a second and 200 MB to import.
"""

import importlib


class _LazyModule:
    """Stands for a module; what has been asked for once is then as near as in the module itself."""

    def __init__(self, name):
        self._name = name

    def __getattr__(self, name):
        value = getattr(importlib.import_module(self._name), name)
        setattr(self, name, value)
        return value


torch = _LazyModule("torch")
F = _LazyModule("torch.nn.functional")


class Function:
    """The base of what is to be a torch.autograd.Function, made one when it is first applied."""

    @classmethod
    def apply(cls, *inputs):
        """Run it; autograd knows its `backward` (both are static methods, as torch wants them)."""
        members = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
        cls.apply = type(cls.__name__, (torch.autograd.Function,), members).apply
        return cls.apply(*inputs)
