"""Child processes import modules of the current directory only if their parent does."""

import os
import subprocess
import sys

import pytest

from caffe.core import local_processes
from caffe.utils import safe_path

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="Python ignores PYTHONSAFEPATH")
IMPORT = ["-c", "import json, types"]


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    """A current directory with modules that end the process."""
    for name in ("json", "types"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])


def test_within_the_context(hostile, monkeypatch):
    monkeypatch.setenv("PYTHONSAFEPATH", "before")
    with safe_path.safe_path():
        assert subprocess.run([sys.executable, *IMPORT]).returncode == 0
    assert os.environ["PYTHONSAFEPATH"] == "before"
    monkeypatch.delenv("PYTHONSAFEPATH")
    with safe_path.safe_path():
        pass
    assert "PYTHONSAFEPATH" not in os.environ


def test_workers_of_a_training(hostile, monkeypatch):
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    assert local_processes.run(IMPORT, 1) == 0
    monkeypatch.setattr(sys, "path", ["", *sys.path])  # as in `python -m caffe`
    assert local_processes.run(IMPORT, 1) == 9
