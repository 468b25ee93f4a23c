"""Installing the compiler without a network, from small fake wheels."""

import dataclasses
import hashlib
import json
import os
import subprocess
import zipfile

import pytest

from ncs.errors import NcsError
from ncs.myriad import toolchain


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """A folder with two small fake wheels with matching hashes; an empty cache."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    pinned = []
    for wheel in toolchain.WHEELS:
        path = folder / wheel.filename
        with zipfile.ZipFile(path, "w") as archive:
            for name in wheel.members:
                archive.writestr(f"{wheel.folder}/{name}", "library " + name)
            archive.writestr("../evil.so", "never unpacked")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        members = {name: hashlib.sha256(b"library " + name.encode()).hexdigest() for name in wheel.members}
        pinned.append(dataclasses.replace(wheel, sha256=digest, size=path.stat().st_size, members=members))
    monkeypatch.setattr(toolchain, "WHEELS", tuple(pinned))
    monkeypatch.setenv("CAFFE2NCS_CACHE", str(tmp_path / "cache"))
    return folder


def test_only_required_files_are_unpacked(wheels, tmp_path):
    assert toolchain.find() is None
    tools = toolchain.fetch(str(wheels))
    names = sorted(name for wheel in toolchain.WHEELS for name in wheel.members)
    assert sorted(os.listdir(tools.folder)) == names
    assert not (tmp_path / "cache" / "evil.so").exists()
    assert toolchain.find() == tools
    assert toolchain.verify(tools) == []
    assert toolchain.toolchain(say=pytest.fail) == tools  # already there: nothing is downloaded or logged


def test_damaged_files_are_detected(wheels):
    tools = toolchain.fetch(str(wheels))
    path = tools.library("libngraph.so")
    with open(path, "r+b") as stream:
        stream.write(b"X")
    assert toolchain.verify(tools) == ["libngraph.so"]
    with pytest.raises(NcsError, match="damaged: libngraph.so; remove the folder"):
        toolchain.toolchain()
    os.unlink(path)
    assert toolchain.find() is None


def test_hashes_stored_in_the_cache_are_ignored(wheels):
    tools = toolchain.fetch(str(wheels))
    replacement = b"library libtbb.so.X"  # of the same size
    with open(tools.library("libtbb.so.2"), "wb") as stream:
        stream.write(replacement)
    record = {"libtbb.so.2": [hashlib.sha256(replacement).hexdigest(), len(replacement)]}
    with open(tools.library("toolchain.json"), "w") as stream:
        json.dump(record, stream)
    with pytest.raises(NcsError, match=r"libtbb\.so\.2"):
        toolchain.toolchain()


def test_read_only_cache_is_sufficient(wheels, monkeypatch):
    tools = toolchain.fetch(str(wheels))

    def fail(folder):
        raise AssertionError("the cache was locked")

    monkeypatch.setattr(toolchain, "_locked", fail)
    assert toolchain.toolchain(say=pytest.fail) == tools


def test_folder_with_other_files_is_not_replaced(wheels):
    tools = toolchain.fetch(str(wheels))
    assert toolchain.fetch(str(wheels)) == tools
    with open(tools.library("mine.txt"), "w") as stream:
        stream.write("mine")
    with pytest.raises(NcsError, match="contains mine.txt"):
        toolchain.fetch(str(wheels))
    assert os.path.exists(tools.library("mine.txt"))


def test_wrong_wheel_is_rejected_and_leaves_no_files(wheels):
    path = wheels / toolchain.WHEELS[1].filename
    path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(NcsError, match=f"expected SHA-256 {toolchain.WHEELS[1].sha256}, received"):
        toolchain.fetch(str(wheels))
    assert toolchain.find() is None
    assert not os.path.exists(os.path.join(toolchain.cache_folder(), toolchain.RELEASE))


def test_missing_wheel_is_reported(wheels):
    (wheels / toolchain.WHEELS[0].filename).unlink()
    with pytest.raises(NcsError, match="openvino-2021.4.2.*no such file"):
        toolchain.fetch(str(wheels))


def test_offline_error_explains_the_manual_installation(wheels, monkeypatch):
    log = []

    def no_network(command, **options):
        assert "--require-hashes" in command and "--no-deps" in command
        output = b"WARNING: Retrying\nERROR: No matching distribution\n"
        return subprocess.CompletedProcess(command, 1, output)

    monkeypatch.setattr(subprocess, "run", no_network)
    with pytest.raises(NcsError) as fault:
        toolchain.toolchain(say=log.append)
    assert len(log) == 1 and "MB" in log[0] and toolchain.cache_folder() in log[0]
    text = str(fault.value)
    assert "No matching distribution" in text and "Retrying" not in text
    assert "ncs toolchain --from FOLDER" in text
    assert all(wheel.filename in text and wheel.sha256 in text for wheel in toolchain.WHEELS)


@pytest.mark.parametrize("system, machine", [("darwin", "x86_64"), ("linux", "aarch64"), ("win32", "AMD64")])
def test_unsupported_machines_are_rejected(monkeypatch, system, machine):
    monkeypatch.setattr(toolchain.sys, "platform", system)
    monkeypatch.setattr(toolchain.platform, "machine", lambda: machine)
    with pytest.raises(NcsError, match="x86-64 Linux only"):
        toolchain.toolchain()


def test_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.delenv("CAFFE2NCS_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert toolchain.cache_folder() == str(tmp_path / "caffe2ncs")
    monkeypatch.setenv("CAFFE2NCS_CACHE", str(tmp_path / "own"))
    assert toolchain.cache_folder() == str(tmp_path / "own")


def test_unwritable_cache_is_reported(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CAFFE2NCS_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(toolchain, "check_platform", lambda: None)
    with pytest.raises(NcsError, match="set CAFFE2NCS_CACHE"):
        toolchain.toolchain()
