"""Shards read as one database; merged, they are byte for byte the database without shards."""

import itertools
import os
import shutil
import sys

import cv2
import numpy as np
import pytest

from caffe.data.db import create_db, open_db, shards
from caffe.errors import CaffeError
from caffe.tools import main

FLAGS = ["--resize_width=6", "--resize_height=6"]


@pytest.fixture
def images(tmp_path):
    """A list of 11 images, of which the eighth is missing."""
    rng = np.random.default_rng(0)
    for i in range(11):
        if i != 7:
            cv2.imwrite(str(tmp_path / f"{i}.png"), rng.integers(0, 255, (9, 8, 3), np.uint8))
    (tmp_path / "list.txt").write_text("".join(f"{i}.png {i % 3}\n" for i in range(11)))
    return tmp_path


def _convert(folder, name, *more):
    arguments = [f"{folder}/", str(folder / "list.txt"), str(folder / name)]
    return main(["convert_imageset", *FLAGS, "--allow_broken", *more, *arguments])


def _records(path, backend="lmdb"):
    with open_db(path, backend) as db:
        return list(db)


@pytest.mark.parametrize("backend", ["lmdb", "leveldb"])
@pytest.mark.parametrize("count", [2, 3, 5])
def test_shards_hold_the_records_of_one_database(images, count, backend):
    more = ["--shuffle", "--backend", backend]
    assert _convert(images, "one", *more) == 0
    assert _convert(images, "db", "--shards", str(count), *more) == 0
    expected = _records(images / "one", backend)
    assert len(expected) == 10 and _records(images / "db", backend) == expected
    assert main(["merge_db", "--backend", backend, str(images / "merged"), str(images / "db")]) == 0
    assert _records(images / "merged", backend) == expected
    if backend == "lmdb":
        assert (images / "merged/data.mdb").read_bytes() == (images / "one/data.mdb").read_bytes()
    with open_db(images / "db", backend) as db:
        assert len(db) == 10
        for start in (0, 3, 9, 10, 27):
            cycle = itertools.islice(itertools.cycle(expected), start, start + 25)
            assert list(itertools.islice(db.at(start), 25)) == list(cycle)
        assert [db.record(i) for i in range(10)] == expected


def test_an_interrupted_conversion_continues(images):
    assert _convert(images, "one") == 0
    assert _convert(images, "db", "--shards", "3", "--only_shard", "1") == 0
    kept = images / "db-00001-of-00003"
    before = (kept / "data.mdb").stat().st_mtime_ns
    assert not (images / "db").exists()
    assert _convert(images, "db", "--shards", "3") == 0
    assert (kept / "data.mdb").stat().st_mtime_ns == before
    assert _records(images / "db") == _records(images / "one")
    assert (images / "db").read_text().split() == [f"db-{i:05d}-of-00003" for i in range(3)]


def test_errors(images, capsys):
    for more, message in (
        (["--shards", "0"], "--shards must be at least 1"),
        (["--only_shard", "0"], "belongs to --only_shard"),
        (["--shards", "12"], "expected 1 to 11 shards"),
        (["--shards", "2", "--only_shard", "2"], "a shard from 0 to 1"),
    ):
        assert _convert(images, "bad", *more) == 1
        assert message in capsys.readouterr().err
    assert _convert(images, "db", "--shards", "2") == 0
    assert _convert(images, "db", "--shards", "2") == 1
    assert "exists; remove it" in capsys.readouterr().err
    parts = [str(images / f"db-0000{i}-of-00002") for i in (1, 0)]
    assert main(["merge_db", str(images / "merged"), *parts]) == 1
    assert "not greater than the last key" in capsys.readouterr().err and not (images / "merged").exists()
    (images / "db-00001-of-00002" / "data.mdb").unlink()
    with pytest.raises(CaffeError, match="db: .*db-00001-of-00002"):
        open_db(images / "db")


def test_a_file_that_lists_no_folder_is_no_database(tmp_path):
    (tmp_path / "text").write_text("nothing\n")
    with pytest.raises(CaffeError, match="is a file, not a folder"):
        open_db(tmp_path / "text")
    with create_db(str(tmp_path / "a")) as writer:
        writer.put(b"k", b"v")
    shards.write_list(str(tmp_path / "list"), [str(tmp_path / "a")])
    assert _records(tmp_path / "list") == [(b"k", b"v")]


def test_the_data_layer_reads_a_list_of_shards(images):
    import caffe

    assert _convert(images, "one") == 0 and _convert(images, "db", "--shards", "3") == 0
    labels = []
    for source in ("one", "db"):
        text = f"""layer {{ name: "d" type: "Data" top: "data" top: "label"
          data_param {{ source: "{images}/{source}" backend: LMDB batch_size: 4 shuffle: true }} }}"""
        (images / "net.prototxt").write_text(text)
        caffe.set_random_seed(3)
        net = caffe.Net(str(images / "net.prototxt"), caffe.TRAIN)
        labels.append([net.forward()["label"].copy() for _ in range(6)])
    assert np.array_equal(*labels)


@pytest.fixture
def own_ray(monkeypatch):
    """Ray's settings for a cluster of this test on this machine; skips the test where Ray is not installed."""
    pytest.importorskip("ray", reason="ray is not installed (extra `ray`)")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


def test_shards_written_on_ray_are_those_of_one_process(images, own_ray, monkeypatch, capsys):
    """Also with relative paths, and with a shard that an earlier run has written."""
    assert _convert(images, "here", "--shuffle", "--shards", "3") == 0
    monkeypatch.chdir(images)
    flags = [*FLAGS, "--shuffle", "--shards", "3", "--ray", "local"]
    assert main(["convert_imageset", *flags, "--only_shard", "1", "", "list.txt", "there"]) == 1
    assert "without --only_shard" in capsys.readouterr().err
    shutil.copytree("here-00001-of-00003", "there-00001-of-00003")
    kept = (images / "there-00001-of-00003/data.mdb").stat().st_mtime_ns
    capsys.readouterr()
    assert main(["convert_imageset", *flags, "--allow_broken", "", "list.txt", "there"]) == 0
    for i in range(3):
        name = f"-0000{i}-of-00003/data.mdb"
        assert (images / ("there" + name)).read_bytes() == (images / ("here" + name)).read_bytes()
    assert (images / "there-00001-of-00003/data.mdb").stat().st_mtime_ns == kept
    assert (images / "there").read_text() == (images / "here").read_text().replace("here", "there")
    assert "Could not open or find file 7.png (list.txt:8: " in capsys.readouterr().err
