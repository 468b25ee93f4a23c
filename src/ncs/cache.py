"""Where what is fetched or compiled once is kept."""

from __future__ import annotations

import os


def cache_folder() -> str:
    """CAFFE2NCS_CACHE, else caffe2ncs under XDG_CACHE_HOME, else under ~/.cache."""
    own = os.environ.get("CAFFE2NCS_CACHE")
    if own:
        return os.path.abspath(own)
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(home, "caffe2ncs")
