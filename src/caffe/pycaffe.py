"""The rest of pycaffe's interface: the base class of Python layers, a timer, logging.

`from caffe.pycaffe import Net, SGDSolver` also works, because existing scripts use it.
"""

from __future__ import annotations

import time
from typing import Any

from caffe.core import glog
from caffe.errors import CaffeError

TRAIN, TEST = 0, 1


class Layer:
    """Base class of layers written in Python; ``python_param { module: "m" layer: "MyLayer" }`` selects one.

    Implement ``setup(self, bottom, top)`` (called once), ``reshape(self, bottom, top)`` (before every forward),
    ``forward(self, bottom, top)`` and ``backward(self, top, propagate_down, bottom)``. Bottoms and tops are lists of
    Blobs with ``data``, ``diff``, ``shape``, ``num`` and ``reshape(...)``. Set before ``setup``: ``self.param_str``,
    ``self.phase`` (caffe.TRAIN or caffe.TEST), ``self.layer_param`` (LayerParameter) and ``self.blobs``
    (``self.blobs.add_blob(3, 4)`` adds a weight blob). A layer that reads data may define
    ``state() -> {str: int}`` and ``restore(state)``; snapshots save its state.
    """

    type = "Python"
    param_str = ""
    phase = TEST
    layer_param: Any = None
    blobs: Any

    def __init__(self, layer_param: Any = None) -> None:
        self.layer_param = layer_param

    def __new__(cls, layer_param=None, *args, **kwargs):
        # Not in __init__: existing derived classes do not call it.
        from caffe.core.blob_vec import BlobVec

        self = super().__new__(cls)
        self.layer_param = layer_param
        self.blobs = BlobVec([])
        return self

    def setup(self, bottom: list, top: list) -> None:
        """Check parameters and bottoms, add weight blobs."""

    def reshape(self, bottom: list, top: list) -> None:
        """Set the shapes of the tops."""
        raise CaffeError(f"{type(self).__name__} has no reshape(self, bottom, top)")

    def forward(self, bottom: list, top: list) -> None:
        """Write the data of the tops."""
        raise CaffeError(f"{type(self).__name__} has no forward(self, bottom, top)")

    def backward(self, top: list, propagate_down: list[bool], bottom: list) -> None:
        """Write the diff of the bottoms, add to the diff of the weight blobs."""
        raise CaffeError(f"{type(self).__name__} has no backward(self, top, propagate_down, bottom)")


class Timer:
    """A stopwatch in milliseconds."""

    def __init__(self) -> None:
        self._start: float | None = None
        self._elapsed: float | None = None

    def start(self) -> None:
        """Start from zero."""
        self._start, self._elapsed = time.perf_counter(), None

    def stop(self) -> None:
        """Stop and keep the time since `start`."""
        if self._start is not None:
            self._elapsed, self._start = time.perf_counter() - self._start, None

    @property
    def ms(self) -> float:
        """Milliseconds from start to stop (a running timer is stopped); 0 before the first start."""
        self.stop()
        return 1000.0 * (self._elapsed or 0.0)


class NCCL:
    """Caffe's multi-GPU training from Python; not available: `caffe train --gpu 0,1` starts a process per device."""

    _ERROR = (
        "this Caffe has no NCCL class (caffe.has_nccl() is False): train on several devices with "
        "`caffe train --gpu 0,1` or torchrun, or use iter_size in the solver for a larger batch"
    )

    def __init__(self, *args: Any) -> None:
        raise CaffeError(self._ERROR)

    @staticmethod
    def new_uid() -> str:
        """Raise CaffeError: not available."""
        raise CaffeError(NCCL._ERROR)


def init_log(level: int = 0, to_stderr: bool = True) -> None:
    """Set the log level as glog does: 1 silences messages, 2 warnings too. Output always goes to standard error."""
    import os

    os.environ["GLOG_minloglevel"] = str(int(level))  # noqa: SIM112  glog's own spelling


def log(text: str) -> None:
    """Write a line to the log."""
    glog.info(text, "pycaffe.py:1")


def layer_type_list() -> list[str]:
    """Return the names of all layer types in alphabetical order."""
    from caffe import layers
    from caffe.layers import base

    layers.load()
    return sorted(base.registry)


def __getattr__(name):
    import caffe

    if name in caffe._MODULE_OF and caffe._MODULE_OF[name] != "pycaffe":
        return getattr(caffe, name)
    if name == "Blob":
        from caffe.core.blob import Blob

        return Blob
    raise AttributeError(f"module 'caffe.pycaffe' has no attribute '{name}'")
