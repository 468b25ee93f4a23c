"""Fetching the compiler, without a network: wheels made here stand for the real ones."""

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
    """A folder with two small wheels in place of the real ones, pinned as those are; an empty cache."""
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


def test_unpacks_what_is_needed_and_nothing_else(wheels, tmp_path):
    assert toolchain.find() is None
    found = toolchain.fetch(str(wheels))
    names = sorted(name for wheel in toolchain.WHEELS for name in wheel.members)
    assert sorted(os.listdir(found.folder)) == names
    assert not (tmp_path / "cache" / "evil.so").exists()
    assert toolchain.find() == found
    assert toolchain.verify(found) == []
    assert toolchain.toolchain(say=pytest.fail) == found  # there already: nothing is fetched, nothing said


def test_damage_is_found(wheels):
    found = toolchain.fetch(str(wheels))
    path = found.library("libngraph.so")
    with open(path, "r+b") as stream:
        stream.write(b"X")
    assert toolchain.verify(found) == ["libngraph.so"]
    with pytest.raises(NcsError, match="not as it was fetched: libngraph.so; remove the folder"):
        toolchain.toolchain()
    os.unlink(path)
    assert toolchain.find() is None


def test_a_record_beside_the_libraries_is_not_believed(wheels):
    found = toolchain.fetch(str(wheels))
    with open(found.library("libtbb.so.2"), "wb") as stream:
        stream.write(b"library libtbb.so.X")  # of the same size
    facts = {"libtbb.so.2": [hashlib.sha256(b"library libtbb.so.X").hexdigest(), 19]}
    with open(found.library("toolchain.json"), "w") as stream:
        json.dump(facts, stream)
    with pytest.raises(NcsError, match=r"libtbb\.so\.2"):
        toolchain.toolchain()


def test_a_cache_that_can_only_be_read_will_do(wheels, monkeypatch):
    found = toolchain.fetch(str(wheels))

    def refuse(folder):
        raise AssertionError("the lock was taken")

    monkeypatch.setattr(toolchain, "_locked", refuse)
    assert toolchain.toolchain(say=pytest.fail) == found


def test_a_wheel_that_is_not_the_pinned_one_is_refused_and_leaves_nothing(wheels):
    path = wheels / toolchain.WHEELS[1].filename
    path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(NcsError, match="SHA-256 is .*, must be " + toolchain.WHEELS[1].sha256):
        toolchain.fetch(str(wheels))
    assert toolchain.find() is None
    assert not os.path.exists(os.path.join(toolchain.cache_folder(), toolchain.RELEASE))


def test_a_missing_wheel_is_named(wheels):
    (wheels / toolchain.WHEELS[0].filename).unlink()
    with pytest.raises(NcsError, match="openvino-2021.4.2.*no such file"):
        toolchain.fetch(str(wheels))


def test_offline_says_what_to_do(wheels, monkeypatch):
    said = []

    def no_network(command, **options):
        assert "--require-hashes" in command and "--no-deps" in command
        words = b"WARNING: Retrying\nERROR: No matching distribution\n"
        return subprocess.CompletedProcess(command, 1, words)

    monkeypatch.setattr(subprocess, "run", no_network)
    with pytest.raises(NcsError) as fault:
        toolchain.toolchain(say=said.append)
    assert len(said) == 1 and "MB" in said[0] and toolchain.cache_folder() in said[0]
    text = str(fault.value)
    assert "No matching distribution" in text and "Retrying" not in text
    assert "ncs toolchain --from FOLDER" in text
    assert all(wheel.filename in text and wheel.sha256 in text for wheel in toolchain.WHEELS)


@pytest.mark.parametrize("system, machine", [("darwin", "x86_64"), ("linux", "aarch64"), ("win32", "AMD64")])
def test_other_machines_are_refused(monkeypatch, system, machine):
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


def test_a_cache_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CAFFE2NCS_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(toolchain, "check_platform", lambda: None)
    with pytest.raises(NcsError, match="set CAFFE2NCS_CACHE"):
        toolchain.toolchain()
