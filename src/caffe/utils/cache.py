"""Locations in the cache of downloaded, generated and compiled files."""

from __future__ import annotations

import os


def cache_folder() -> str:
    """Return CAFFE2NCS_CACHE, else caffe2ncs in XDG_CACHE_HOME, else caffe2ncs in ~/.cache."""
    configured = os.environ.get("CAFFE2NCS_CACHE")
    if configured:
        return os.path.abspath(configured)
    parent = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(parent, "caffe2ncs")


def bundled_libusb() -> str:
    """Return the libusb installed with the Myriad compiler, a fallback for systems without one; "" if missing."""
    path = os.path.join(cache_folder(), "openvino-2021.4.2", "libusb-1.0.so")
    return path if os.path.exists(path) else ""


def runtime_python() -> str:
    """Return a Python that has the stick runtime: NCS_PYTHON, else the one in `runtime_env()`; "" if there is none."""
    default = os.path.join(runtime_env(), "bin", "python")
    return os.environ.get("NCS_PYTHON") or (default if os.path.exists(default) else "")


def runtime_env() -> str:
    """Return the folder of the virtual environment that is used if NCS_PYTHON is not set."""
    return os.path.join(cache_folder(), "ncs2")
