"""Files and folders are written atomically; the next writer removes what a killed one left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from caffe.utils import atomic_io


def test_file_is_written(tmp_path):
    path = tmp_path / "sub" / "a.txt"
    atomic_io.write_bytes(path, "new")
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["a.txt"]


def test_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_io.atomic_write(path) as temporary:
        Path(temporary).write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_folder_replaces_the_old_one(tmp_path):
    path = tmp_path / "folder"
    with atomic_io.atomic_folder(path, "this") as temporary:
        Path(temporary, "old").write_text("1")
    with atomic_io.atomic_folder(path, "this") as temporary:
        Path(temporary, "new").write_text("2")
        assert (path / "old").exists()
    assert sorted(os.listdir(path)) == [".made.json", "new"]
    assert os.listdir(tmp_path) == ["folder"]


@pytest.mark.parametrize("suffix", ["", ".txt"])
def test_next_writer_removes_the_leftovers_of_a_killed_one(tmp_path, suffix):
    path = tmp_path / "a.txt"
    script = (
        "import sys, time; from caffe.utils.atomic_io import atomic_write\n"
        "with atomic_write(*sys.argv[1:]) as path:\n"
        "    open(path, 'w').write('half'); print('ready', flush=True); time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(path), suffix], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"ready\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    time.sleep(0.01)
    assert not path.exists() and [name[-4:] == ".txt" for name in os.listdir(tmp_path)] == [suffix == ".txt"]
    atomic_io.write_bytes(path, "whole")
    assert os.listdir(tmp_path) == ["a.txt"] and path.read_text() == "whole"


def test_temporary_file_of_a_running_writer_is_kept(tmp_path):
    path = tmp_path / "a.txt"
    with atomic_io.atomic_write(path) as first:
        atomic_io.write_bytes(path, "second")
        assert os.path.exists(first)
        Path(first).write_text("first")
    assert path.read_text() == "first"
