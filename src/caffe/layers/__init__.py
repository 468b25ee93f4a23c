"""Caffe's layer types, one file each; every module of this package is a layer type.

`from caffe import layers as L` also provides pycaffe's NetSpec functions (`L.Convolution(...)`). The modules are
imported when the first Net is built, and torch when the first tensor is needed (caffe.core.lazy_torch).
"""

from __future__ import annotations

import functools
import importlib
import pkgutil


@functools.cache
def load() -> None:
    """Import all layer modules, which fills `base.registry`."""
    for module in pkgutil.iter_modules(__path__):
        if module.name != "base" and not module.name.startswith("_"):
            importlib.import_module("." + module.name, __name__)


def __getattr__(name):
    if name[:1].isupper():
        from caffe import net_spec

        return getattr(net_spec.layers, name)
    raise AttributeError(f"module 'caffe.layers' has no attribute '{name}'")
