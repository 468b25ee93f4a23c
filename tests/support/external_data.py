"""Location of real faces and published prototxt files: CAFFE2NCS_SHARED, or `shared` next to the checkout."""

import os
from pathlib import Path

import pytest

_CANDIDATE = Path(os.environ.get("CAFFE2NCS_SHARED") or Path(__file__).resolve().parents[3] / "shared")
SHARED = _CANDIDATE if (_CANDIDATE / "data" / "levi").is_dir() else None
FORK_CASES = (SHARED or _CANDIDATE) / "cases" / "forks"
needs_shared = pytest.mark.skipif(
    SHARED is None,
    reason="real faces and published prototxt files are not available (CAFFE2NCS_SHARED)",
)
