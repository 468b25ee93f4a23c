"""Devices that never end, where a file is expected: an error within the limit of each reader."""

import pytest

from agegender.bulk import shards
from caffe.errors import CaffeError
from caffe.solver import train_log
from caffe.tools import classification
from caffe.utils import input_file
from ncs.myriad import blob
from ncs.simulator import engine

READERS = {
    "list of images": lambda path: shards.Images(path).shards(10, {}),
    "labels": classification._lines,
    "log": train_log.read,
    "blob": blob.read_blob,
    "simulator": engine.Simulator.from_file,
}


@pytest.fixture(autouse=True)
def small_limits(monkeypatch):
    monkeypatch.setattr(input_file.read_text, "__defaults__", ("strict", 100_000))
    monkeypatch.setattr(blob, "MAX_BLOB", 100_000)
    monkeypatch.setattr(engine, "MAX_BLOB", 100_000)


@pytest.mark.parametrize("name", READERS)
def test_endless_device(name):
    with pytest.raises(CaffeError, match="/dev/zero.*(larger than the limit|a line of 65536 bytes or more)"):
        READERS[name]("/dev/zero")
