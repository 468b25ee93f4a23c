"""Only the command that created a folder replaces it, in one step; a kill loses neither the old nor the new one."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from caffe.errors import CaffeError
from caffe.utils import atomic_io, folders


def write(path, text="new", by="this"):
    with atomic_io.atomic_folder(path, by) as temporary:
        Path(temporary, "sub").mkdir()
        Path(temporary, "sub", "a").write_text(text)


def contents(path):
    return {str(p.relative_to(path)): p.read_text() for p in Path(path).rglob("*") if p.is_file()}


@pytest.mark.parametrize("before", ["absent", "empty", "created"])
def test_the_same_command_replaces_its_folder(tmp_path, before):
    path = tmp_path / "folder"
    if before == "empty":
        path.mkdir()
    if before == "created":
        write(path, "older")
    write(path)
    assert (path / "sub" / "a").read_text() == "new"
    assert os.listdir(tmp_path) == ["folder"]


def edited(path):
    (path / "sub" / "a").write_text("edited")


def edited_in_place(path):
    file = path / "sub" / "a"
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    file.write_text("OLDER")
    os.utime(file, ns=times)


def added(path):
    (path / "mine").write_text("x")


def linked(path):
    (path / "mine").symlink_to("/etc")


def added_deep(path):
    (path / "sub" / "deeper").mkdir()
    (path / "sub" / "deeper" / "mine").write_text("x")


@pytest.mark.parametrize("change", [edited, edited_in_place, added, added_deep, linked])
def test_a_folder_with_files_of_the_user_is_kept(tmp_path, change):
    path = tmp_path / "folder"
    write(path, "older")
    change(path)
    before = contents(path)
    with pytest.raises(CaffeError, match="will not be replaced"):
        write(path)
    assert contents(path) == before and os.listdir(tmp_path) == ["folder"]


@pytest.mark.parametrize("kind", ["other command", "no record", "damaged record", "file", "dangling link"])
def test_other_files_and_folders_are_kept(tmp_path, kind):
    path = tmp_path / "folder"
    if kind == "other command":
        write(path, by="another")
    elif kind == "file":
        path.write_text("mine")
    elif kind == "dangling link":
        path.symlink_to(tmp_path / "sub" / "nowhere")
    else:
        path.mkdir()
        (path / "mine").write_text("x")
        if kind == "damaged record":
            (path / folders.RECORD).write_text("[[[")
    before = sorted(os.listdir(tmp_path)), path.is_symlink() or contents(path) if path.is_dir() else None
    if kind == "dangling link":
        write(path)
        assert path.is_symlink() and (tmp_path / "sub" / "nowhere" / "sub" / "a").exists()
        return
    with pytest.raises(CaffeError, match="will not be replaced"):
        write(path)
    assert (sorted(os.listdir(tmp_path)), contents(path) if path.is_dir() else None) == before


@pytest.mark.parametrize("size, replaced", [(5, True), (6, False)])
def test_a_record_of_sizes_only_is_still_read(tmp_path, size, replaced):
    path = tmp_path / "folder"
    write(path, "older")
    (path / folders.RECORD).write_text(json.dumps({"by": "this", "files": {"sub/a": size}}))
    with contextlib.nullcontext() if replaced else pytest.raises(CaffeError, match="have changed since"):
        write(path)


def test_a_link_to_a_folder_remains_a_link(tmp_path):
    write(tmp_path / "real", "older")
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real" / "sub" / "a").read_text() == "new"


KILLED = """
import os, signal, sys
from caffe.utils import atomic_io, folders
name, number, exchange = sys.argv[2], int(sys.argv[3]), sys.argv[4] == "True"
if not exchange:
    folders._try_exchange = lambda one, other: False
calls = 0
def dying(function):
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return call
module = {"_try_exchange": folders, "rmtree": atomic_io.shutil}.get(name, os)
with atomic_io.atomic_folder(sys.argv[1], "this") as temporary:
    open(os.path.join(temporary, "a"), "w").write("new")
    setattr(module, name, dying(getattr(module, name)))
"""
POINTS = [
    ("_try_exchange", 1, True),
    ("rmtree", 1, True),
    ("rename", 1, False),
    ("rename", 2, False),
    ("rmtree", 1, False),
]


@pytest.mark.parametrize("name, number, exchange", POINTS)
def test_a_kill_at_any_step_leaves_the_old_or_the_new_folder(tmp_path, name, number, exchange):
    path = tmp_path / "folder"
    with atomic_io.atomic_folder(path, "this") as temporary:
        Path(temporary, "a").write_text("old")
    command = [sys.executable, "-c", KILLED, str(path), name, str(number), str(exchange)]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    with pytest.raises(ZeroDivisionError), atomic_io.atomic_folder(path, "this"):
        raise ZeroDivisionError  # the next run fails but loses nothing
    assert (path / "a").read_text() in ("old", "new")
    assert os.listdir(tmp_path) == ["folder"]


def test_every_file_is_flushed_before_the_folder_appears(tmp_path, monkeypatch):
    synced, path = [], tmp_path / "folder"
    fsync = os.fsync

    def watched(handle):
        synced.append((os.readlink(f"/proc/self/fd/{handle}"), path.exists()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    with atomic_io.atomic_folder(path, "this") as temporary:
        for number in range(70):
            Path(temporary, str(number)).write_text("x")
    before = {place for place, there in synced if not there}
    assert before >= {os.path.join(temporary, str(number)) for number in range(70)} | {temporary}


def test_a_file_replaces_neither_a_directory_nor_a_pipe(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(CaffeError, match="is a directory"):
        atomic_io.write_bytes(tmp_path / "folder", "x")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    atomic_io.write_bytes(pipe, "through")
    assert reader.communicate()[0] == b"through"
    assert sorted(os.listdir(tmp_path)) == ["folder", "pipe"]
