"""Where what is fetched, made or compiled once is kept, and what lies there."""

from __future__ import annotations

import os


def cache_folder() -> str:
    """CAFFE2NCS_CACHE, else caffe2ncs under XDG_CACHE_HOME, else under ~/.cache."""
    own = os.environ.get("CAFFE2NCS_CACHE")
    if own:
        return os.path.abspath(own)
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(home, "caffe2ncs")


def bundled_libusb() -> str:
    """The libusb beside the Myriad compiler, which serves where the system has none; or ""."""
    path = os.path.join(cache_folder(), "openvino-2021.4.2", "libusb-1.0.so")
    return path if os.path.exists(path) else ""


def runtime_python() -> str:
    """A Python that has the runtime of sticks where this one has not: what NCS_PYTHON names, else `runtime_env()`'s; or ""."""
    usual = os.path.join(runtime_env(), "bin", "python")
    return os.environ.get("NCS_PYTHON") or (usual if os.path.exists(usual) else "")


def runtime_env() -> str:
    """The folder of the environment that is looked for where NCS_PYTHON is not set."""
    return os.path.join(cache_folder(), "ncs2")
