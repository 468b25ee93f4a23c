"""What pycaffe holds besides nets and solvers: the base class of Python layers, a timer, log switches.

`from caffe.pycaffe import Net, SGDSolver` works too, as scripts have it.
"""

from __future__ import annotations

import time

from caffe.core import glog
from caffe.errors import CaffeError

TRAIN, TEST = 0, 1


class Layer:
    """Derive from this to write a layer in Python, name it in ``python_param { module: "m" layer: "MyLayer"
    }``.

    Write ``setup(self, bottom, top)`` (once), ``reshape(self, bottom, top)`` (before every forward),
    ``forward(self, bottom, top)`` and ``backward(self, top, propagate_down, bottom)``. Bottoms and tops are
    lists of Blobs with ``data``, ``diff``, ``shape``, ``num``, ``reshape(...)``. There before setup:
    ``self.param_str``, ``self.phase`` (caffe.TRAIN or caffe.TEST), ``self.blobs`` (``self.blobs.add_blob(3,
    4)`` makes a weight blob), ``self.layer_param`` (LayerParameter). A layer that reads data may have
    ``state() -> {str: int}`` and ``restore(state)``: they go into snapshots.
    """

    type = "Python"
    param_str = ""
    phase = TEST
    layer_param = None

    def __init__(self, layer_param=None):
        self.layer_param = layer_param

    def __new__(cls, layer_param=None, *args, **kwargs):
        # Here and not in __init__, since derived classes did not call it and need not begin now.
        from caffe.net.pycaffe_api import Blobs

        self = super().__new__(cls)
        self.layer_param = layer_param
        self.blobs = Blobs([])
        return self

    def setup(self, bottom, top):
        """Look at parameters and bottoms, make weight blobs."""

    def reshape(self, bottom, top):
        """Give the tops their shapes."""
        raise CaffeError(f"{type(self).__name__} has no reshape(self, bottom, top)")

    def forward(self, bottom, top):
        """Write the tops' data."""
        raise CaffeError(f"{type(self).__name__} has no forward(self, bottom, top)")

    def backward(self, top, propagate_down, bottom):
        """Write the bottoms' diff, add to the weight blobs' diff."""
        raise CaffeError(f"{type(self).__name__} has no backward(self, top, propagate_down, bottom)")


class Timer:
    """A stop watch, in milliseconds."""

    def __init__(self):
        self._began = self._spent = None

    def start(self):
        """Start from zero."""
        self._began, self._spent = time.perf_counter(), None

    def stop(self):
        """Keep the time spent since `start`."""
        if self._began is not None:
            self._spent, self._began = time.perf_counter() - self._began, None

    @property
    def ms(self):
        """Milliseconds from start to stop (to now, while running); 0 before the first start."""
        self.stop()
        return 1000.0 * (self._spent or 0.0)


class NCCL:
    """Caffe's way to many GPUs from Python, which this build does not have: it trains in one process."""

    _WHY = (
        "this Caffe has no NCCL: training runs in one process (caffe.has_nccl() is False). Use one device, "
        "or iter_size in the solver for a larger batch"
    )

    def __init__(self, *args):
        raise CaffeError(self._WHY)

    @staticmethod
    def new_uid():
        """Not available."""
        raise CaffeError(NCCL._WHY)


def init_log(level=0, to_stderr=True):
    """Accept glog's set-up: `level` 1 silences messages, 2 warnings too. Lines go to standard error in any
    case.
    """
    import os

    os.environ["GLOG_minloglevel"] = str(int(level))  # noqa: SIM112  glog's own spelling


def log(text):
    """Write a line into the log."""
    glog.info(text, "pycaffe.py:1")


def layer_type_list():
    """The names of all layer types, in alphabetical order."""
    from caffe import layers
    from caffe.layers import base

    layers.load()
    return sorted(base.registry)


def __getattr__(name):
    import caffe

    if name in caffe._HOME and caffe._HOME[name] != "pycaffe":
        return getattr(caffe, name)
    if name == "Blob":
        from caffe.core.blob import Blob

        return Blob
    raise AttributeError(f"module 'caffe.pycaffe' has no attribute '{name}'")
