"""Makes tests/ importable, so that `from support import ...` works, and limits thread pools."""

import contextlib
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")
sys.path.insert(0, str(Path(__file__).parent))

# The tests of `./test.sh -m fast`, a check of every package in less than a minute on 2 cores.
FAST = (
    *(
        "caffe/core",
        "caffe/device",
        "caffe/net",
        "caffe/weights",
        "caffe/proto/test_b",
        "caffe/proto/test_read",
        "caffe/proto/test_upgrade",
        "caffe/data/test_datum.py",
    ),
    *("caffe/data/test_mean.py", "caffe/layers/test_conformance.py", "caffe/solver/test_policies.py"),
    *("caffe/utils/test_pipeline.py", "caffe/utils/test_commands.py", "ncs/runtime/test_manifest.py"),
    *("ncs/myriad/test_blob.py", "ncs/profile", "agegender/evaluate/test_metrics.py"),
    *("agegender/evaluate/test_confusion.py", "agegender/inference/test_labels.py", "agegender/datasets/test_split.py"),
    "test_vocabulary.py",
)


def pytest_sessionstart(session):
    """Compile the native kernels, so that the tests run with them; tests/support/kernels.py says where they cannot."""
    from caffe.errors import CaffeError
    from caffe.kernels import build

    with contextlib.suppress(CaffeError):
        build.build()


def pytest_collection_modifyitems(items):
    """Mark the tests of FAST."""
    folder = Path(__file__).parent
    for item in items:
        name = item.path.relative_to(folder).as_posix() if item.path.is_relative_to(folder) else ""
        if name.startswith(FAST):
            item.add_marker("fast")
