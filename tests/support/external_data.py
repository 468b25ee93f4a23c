"""Where real faces and published prototxt files are: beside the checkout or where CAFFE2NCS_SHARED says."""

import os
from pathlib import Path

import pytest

_CANDIDATE = Path(os.environ.get("CAFFE2NCS_SHARED") or Path(__file__).resolve().parents[2] / "shared")
SHARED = _CANDIDATE if (_CANDIDATE / "data" / "levi").is_dir() else None
needs_shared = pytest.mark.skipif(
    SHARED is None,
    reason="real pictures and published prototxt files are not beside the checkout (CAFFE2NCS_SHARED)",
)
