"""Caffe's layer types, one file each; every module of this package is a layer type.

`from caffe import layers as L` also provides pycaffe's NetSpec functions (`L.Convolution(...)`). A module is imported
when a Net first has a layer of its type, and torch when the first tensor is needed (caffe.core.lazy_torch).
"""

from __future__ import annotations

import functools
import importlib
import pkgutil


@functools.cache
def load() -> None:
    """Import all layer modules, which fills `base.registry`."""
    for module in _modules().values():
        importlib.import_module("." + module, __name__)


def load_type(name: str) -> None:
    """Import the module of layer type `name`, if there is one; a quarter of the time that all of them take."""
    module = _modules().get(name.lower())
    if module is not None:
        importlib.import_module("." + module, __name__)


@functools.cache
def _modules():
    """Return the layer modules by type, in lower case (`base.register` requires such names)."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    return {name.replace("_", ""): name for name in names if name != "base" and not name.startswith("_")}


def __getattr__(name):
    if name[:1].isupper():
        from caffe import net_spec

        return getattr(net_spec.layers, name)
    raise AttributeError(f"module 'caffe.layers' has no attribute '{name}'")
