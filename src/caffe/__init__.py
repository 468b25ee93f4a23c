"""Caffe on PyTorch: its formats, nets and solvers, import-compatible with pycaffe.

Importing this package loads neither torch nor protobuf; the first name that needs one loads it.
"""

from __future__ import annotations

import importlib

__version__ = "1.0.0"  # the version of Caffe whose interface this package implements

_MODULE_OF = {  # public name -> module that defines it
    "Net": "net.net",
    **dict.fromkeys(
        (
            "SGDSolver",
            "NesterovSolver",
            "AdaGradSolver",
            "RMSPropSolver",
            "AdaDeltaSolver",
            "AdamSolver",
            "get_solver",
        ),
        "solver",
    ),
    **dict.fromkeys(
        (
            "set_mode_cpu",
            "set_mode_gpu",
            "set_device",
            "set_random_seed",
            "solver_count",
            "set_solver_count",
            "solver_rank",
            "set_solver_rank",
            "set_multiprocess",
            "has_nccl",
        ),
        "core.config",
    ),
    **dict.fromkeys(("params", "NetSpec", "to_proto"), "net_spec"),
    **dict.fromkeys(("Layer", "Timer", "NCCL", "init_log", "log", "layer_type_list"), "pycaffe"),
    "Classifier": "classifier",
    "Detector": "detector",
    "TRAIN": "pycaffe",
    "TEST": "pycaffe",
}
_MODULES = {
    **{
        name: name
        for name in ("classifier", "coord_map", "detector", "draw", "io", "layers", "net_spec", "proto", "pycaffe")
    },
    "transform": "device.transform",
}

__all__ = [*_MODULE_OF, "io", "layers", "proto"]


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module("caffe." + _MODULES[name])
    if name in _MODULE_OF:
        value = getattr(importlib.import_module("caffe." + _MODULE_OF[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'caffe' has no attribute '{name}'")


def __dir__():
    return sorted({*globals(), *__all__, *_MODULES})
