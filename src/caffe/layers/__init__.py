"""The layer types of Caffe, one file each; the folder is the list.

`from caffe import layers as L` gives pycaffe's NetSpec functions (`L.Convolution(...)`) from here as well; the modules of the
types are imported when the first Net is made, and torch with the first of their values (caffe.core.lazy_torch).
"""

import functools
import importlib
import pkgutil


@functools.cache
def load():
    """Import every member, which fills `base.registry`."""
    for module in pkgutil.iter_modules(__path__):
        if module.name != "base":
            importlib.import_module("." + module.name, __name__)


def __getattr__(name):
    if name[:1].isupper():
        from caffe import net_spec

        return getattr(net_spec.layers, name)
    raise AttributeError(f"module 'caffe.layers' has no attribute '{name}'")
