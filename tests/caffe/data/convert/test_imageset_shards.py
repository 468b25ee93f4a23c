"""Shards as tasks of Ray, with a cluster of plain objects; Ray itself is used in tests/caffe/data/db/test_shards.py."""

import contextlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from caffe.core import ray_cluster
from caffe.data import listfile
from caffe.data.convert import imageset, imageset_shards
from caffe.data.db import open_db
from caffe.errors import CaffeError

COUNT = 12


class RayError(Exception):
    pass


class RayTaskError(RayError):
    def __init__(self, cause):
        super().__init__("remote traceback")
        self.cause = cause


class Cluster:
    """Runs tasks in this process, the last that was handed out first; `failures` maps a folder's number to an error."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self, failures=(), writes=True):
        self.failures, self.writes, self.running, self.most = dict(failures), writes, [], 0

    def cluster_resources(self):
        return {"CPU": 2.0}

    def remote(self, **options):
        assert options == {"num_cpus": 1, "max_retries": ray_cluster.RETRIES}
        return lambda function: SimpleNamespace(remote=lambda *arguments: self._start(function, arguments))

    def _start(self, function, arguments):
        self.running.append((function, arguments))
        self.most = max(self.most, len(self.running))
        return len(self.running) - 1, id(arguments)

    def wait(self, references, num_returns):
        return [references[-1]], None

    def get(self, reference):
        function, (options, shard) = self.running.pop()
        assert len(self.running) == reference[0]
        number = int(shard.folder[-14:-9])
        if number in self.failures:
            raise self.failures[number]
        return function(options, shard) if self.writes else (1, [])


@pytest.fixture
def images(tmp_path):
    for i in range(COUNT):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((4, 4, 3), i, np.uint8))
    (tmp_path / "list.txt").write_text("".join(f"{i}.png {i}\n" for i in range(COUNT)))
    return tmp_path


def _convert(images, cluster, monkeypatch):
    monkeypatch.setattr(ray_cluster, "connected", lambda address: contextlib.nullcontext(cluster))
    options = imageset_shards.Options(f"{images}/", str(images / "list.txt"), imageset.RecordFormat())
    entries = listfile.read(images / "list.txt")
    return imageset_shards.convert(options, entries, str(images / "db"), COUNT, ray="auto")


def test_every_shard_is_written_with_bounded_work(images, monkeypatch):
    cluster = Cluster()
    assert _convert(images, cluster, monkeypatch).written == COUNT
    assert cluster.most == 2 * ray_cluster.AHEAD and not cluster.running
    with open_db(images / "db") as db:
        assert [key for key, _ in db] == [b"%08d_%d.png" % (i, i) for i in range(COUNT)]


@pytest.mark.parametrize(
    "error, message",
    [
        (RayTaskError(CaffeError("no space left")), "-00003-of-00012: no space left"),
        (RayError("first line\nthe node died"), "-00003-of-00012: the node died"),
    ],
)
def test_a_shard_that_fails_ends_the_run_and_the_next_run_continues(images, monkeypatch, error, message):
    with pytest.raises(CaffeError, match=message):
        _convert(images, Cluster({3: error}), monkeypatch)
    assert not (images / "db").exists()
    written = len(list(images.glob("db-*")))
    assert written < COUNT and not (images / "db-00003-of-00012").exists()
    assert _convert(images, Cluster(), monkeypatch).written == COUNT - written
    assert (images / "db").is_file()


def test_a_folder_that_nodes_do_not_share_is_an_error(images, monkeypatch):
    with pytest.raises(CaffeError, match="was written by a node but is not here"):
        _convert(images, Cluster(writes=False), monkeypatch)


def test_a_task_that_is_repeated_finds_its_shard(images):
    options = imageset_shards.Options(f"{images}/", str(images / "list.txt"), imageset.RecordFormat())
    shard = imageset_shards.Shard(str(images / "x"), 0, listfile.read(images / "list.txt"))
    assert imageset_shards._write_once(options, shard) == (COUNT, [])
    assert imageset_shards._write_once(options, shard) == (0, [])


def test_a_directory_that_a_node_does_not_have_is_an_error(images):
    options = imageset_shards.Options("", "list.txt", imageset.RecordFormat(), directory=str(images / "elsewhere"))
    shard = imageset_shards.Shard(str(images / "x"), 0, listfile.read(images / "list.txt"))
    with pytest.raises(CaffeError, match="elsewhere: No such file or directory; start in a directory"):
        imageset_shards._write_once(options, shard)
