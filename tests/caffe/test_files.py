"""Files and folders appear whole or not at all, and what a killed run left goes."""

import os
import subprocess
import sys

import pytest

from caffe import files


def names(folder):
    return sorted(os.listdir(folder))


def test_a_file_appears_whole(tmp_path):
    with files.whole_file(tmp_path / "new" / "a.txt") as temporary:
        assert names(tmp_path / "new") == [os.path.basename(temporary)]
        with open(temporary, "w") as stream:
            stream.write("done")
    assert names(tmp_path / "new") == ["a.txt"]
    assert (tmp_path / "new" / "a.txt").read_text() == "done"


def test_a_failure_leaves_the_old_file(tmp_path):
    files.write_bytes(tmp_path / "a.txt", "old")
    with pytest.raises(ZeroDivisionError), files.whole_file(tmp_path / "a.txt") as temporary:
        with open(temporary, "w") as stream:
            stream.write("half")
        raise ZeroDivisionError
    assert names(tmp_path) == ["a.txt"] and (tmp_path / "a.txt").read_text() == "old"


def test_a_folder_takes_the_place_of_the_old_one(tmp_path):
    for text in ("one", "two"):
        with files.whole_folder(tmp_path / "out") as temporary:
            files.write_bytes(os.path.join(temporary, text), text)
    assert names(tmp_path) == ["out"] and names(tmp_path / "out") == ["two"]


def test_a_failure_leaves_the_old_folder(tmp_path):
    with files.whole_folder(tmp_path / "out") as temporary:
        files.write_bytes(os.path.join(temporary, "a"), "a")
    with pytest.raises(ZeroDivisionError), files.whole_folder(tmp_path / "out") as temporary:
        raise ZeroDivisionError
    assert names(tmp_path) == ["out"] and names(tmp_path / "out") == ["a"]


@pytest.mark.parametrize("kind", ["whole_file", "whole_folder"])
def test_leavings_of_a_killed_run_are_swept_and_those_of_a_living_one_kept(tmp_path, kind):
    code = "import os, sys; from caffe import files\nwith files.%s(sys.argv[1]): os._exit(9)" % kind
    goal = tmp_path / "goal"
    assert subprocess.run([sys.executable, "-c", code, str(goal)]).returncode == 9
    assert len(names(tmp_path)) == 1
    with getattr(files, kind)(goal) as living:
        assert names(tmp_path) == [os.path.basename(living)]
        files.write_bytes(tmp_path / "other", "x")
        with getattr(files, kind)(goal):
            assert os.path.exists(living)
    assert names(tmp_path) == ["goal", "other"]
