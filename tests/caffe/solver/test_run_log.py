"""The run log: writing, appending, and the lock against a second training with the same prefix."""

import subprocess
import sys
from pathlib import Path

import pytest

from caffe.core import glog
from caffe.errors import CaffeError
from caffe.solver import run_log

HOLD = "import sys; from caffe.solver import run_log\nwith run_log.kept(sys.argv[1], False):\n print(1, flush=True); input()"


def test_second_training_with_the_same_prefix_raises(tmp_path):
    prefix = str(tmp_path / "s")
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, prefix], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert first.stdout.readline() == "1\n"
    (tmp_path / "s.log").write_text("log of the first")
    for append in (False, True):
        with pytest.raises(CaffeError, match="another training"), run_log.kept(prefix, append):
            pass
    assert (tmp_path / "s.log").read_text() == "log of the first"
    with run_log.kept(str(tmp_path / "other"), False):
        pass
    first.communicate("\n")
    with run_log.kept(prefix, False):
        pass


@pytest.mark.parametrize("append", [False, True])
def test_lines_are_written(tmp_path, append):
    (tmp_path / "s.log").write_text("before\n")
    with run_log.kept(str(tmp_path / "s"), append) as path:
        glog.info("a line")
    lines = Path(path).read_text().splitlines()
    assert lines[:-1] == (["before"] if append else []) and lines[-1].endswith("a line")
