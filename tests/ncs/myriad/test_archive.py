"""Damaged archives of blobs raise one error, and members above the size limit are not unpacked."""

import contextlib
import json
import random
import zipfile

import pytest

from ncs.errors import NcsError
from ncs.myriad import archive


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in members.items():
            out.writestr(name.replace("_json", ".json"), data)
    return path


def index():
    row = {"name": "a", "file": "a.blob", "size": 3, "sha256": "0" * 64, "platform": "x", "shaves": 1, "cmx_slices": 1}
    return json.dumps({"format": archive.FORMAT, "version": archive.VERSION, "blobs": [row]})


def test_damage_raises_ncs_error(tmp_path):
    whole = zipped(tmp_path / "whole", **{archive.INDEX: index(), "a.blob": b"abc"}).read_bytes()
    path, rng = tmp_path / "x.blobs", random.Random(3)
    for _ in range(300):
        damaged = bytearray(whole[: rng.choice([len(whole), rng.randrange(len(whole))])])
        for _ in range(rng.randint(0, 4)):
            if damaged:
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        path.write_bytes(damaged)
        with contextlib.suppress(NcsError):
            archive.read_blobs(path)


def test_large_members_are_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_INDEX", 1000)
    monkeypatch.setattr(archive, "MAX_BLOB", 1000)
    with pytest.raises(NcsError, match="larger than 1000 bytes"):
        archive.read_index(zipped(tmp_path / "a", **{archive.INDEX: " " * 2000}))
    path = zipped(tmp_path / "b", **{archive.INDEX: index(), "a.blob": bytes(2000)})
    with pytest.raises(NcsError, match="larger than 1000 bytes"):
        archive.read_blobs(path)
