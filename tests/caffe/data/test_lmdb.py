"""LMDB through our reader and writer; witnesses are the lmdb package and real Caffe's databases."""

import os
import shutil
from itertools import islice
from pathlib import Path

import pytest
from support.reference_lmdb import rows

from caffe.data.db import create_db, open_db
from caffe.data.lmdb import LmdbWriter
from caffe.errors import CaffeError

GOLDEN = Path(__file__).parents[2] / "golden" / "tools" / "lmdb"


def records(count, size=50):
    return [(b"%08d_x" % index, bytes([index % 256]) * (size + index % 7)) for index in range(count)]


def make(path, pairs, **more):
    with create_db(path, "lmdb", **more) as writer:
        for key, value in pairs:
            writer.put(key, value)


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.iterdir()))
def test_real_caffes_databases(name):
    expected = rows(GOLDEN / name)
    before = os.listdir(GOLDEN / name)
    with open_db(GOLDEN / name, "LMDB") as db:
        assert len(db) == 17 and list(db) == expected
        assert list(islice(db.at(15), 4)) == [*expected[15:], *expected[:2]]
        assert next(db.at(17 * 5 + 3)) == expected[3]
    assert os.listdir(GOLDEN / name) == before  # no lock file was left


def test_what_is_written_is_what_lmdb_reads_over_many_commits_and_a_grown_map(tmp_path):
    written = records(1500, 60000)
    make(tmp_path / "db", written)
    assert rows(tmp_path / "db") == written
    assert sorted(os.listdir(tmp_path / "db")) == ["data.mdb"]
    assert os.listdir(tmp_path) == ["db"]


def test_the_same_records_give_the_same_bytes(tmp_path):
    for name in "ab":
        make(tmp_path / name, records(2500))
    assert (tmp_path / "a/data.mdb").read_bytes() == (tmp_path / "b/data.mdb").read_bytes()


def test_one_record_larger_than_the_first_map(tmp_path):
    make(tmp_path / "db", [(b"k", memoryview(bytearray(100 << 20)))])
    with open_db(tmp_path / "db") as db:
        assert len(next(iter(db))[1]) == 100 << 20


def test_two_readers_of_one_file_and_one_that_outlives_the_other(tmp_path):
    make(tmp_path / "db", records(3))
    first, second = open_db(tmp_path / "db"), open_db(str(tmp_path / "db"))
    running = second.at(0)
    next(running)
    first.close()
    first.close()
    assert list(islice(running, 3)) == [*records(3)[1:], records(3)[0]]
    with pytest.raises(CaffeError, match="closed"):
        next(iter(first))
    second.close()


def test_a_database_rebuilt_while_open_is_read_anew(tmp_path):
    make(tmp_path / "db", records(3))
    with open_db(tmp_path / "db") as old:
        make(tmp_path / "db", records(5), overwrite=True)
        with open_db(tmp_path / "db") as new:
            assert (len(old), len(new)) == (3, 5) and len(list(old)) == 3 and len(list(new)) == 5


def test_an_error_on_the_way_leaves_nothing_or_what_was_there(tmp_path):
    with pytest.raises(KeyError), create_db(tmp_path / "db") as writer:
        writer.put(b"a", b"b")
        raise KeyError
    assert os.listdir(tmp_path) == []
    make(tmp_path / "db", records(3))
    with pytest.raises(CaffeError, match="come after"):
        make(tmp_path / "db", [(b"b", b""), (b"a", b"")], overwrite=True)
    with open_db(tmp_path / "db") as db:
        assert list(db) == records(3)


def test_keys_lmdb_cannot_take(tmp_path):
    with LmdbWriter(str(tmp_path)) as writer, pytest.raises(CaffeError, match="511"):
        writer.put(b"k" * 512, b"")


def test_what_is_no_database_is_said(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk/data.mdb").write_bytes(b"junk" * 5000)
    (tmp_path / "level").mkdir()
    (tmp_path / "level/CURRENT").write_text("MANIFEST-000002\n")
    make(tmp_path / "norecord", [])
    for name, match in [
        ("none", "does not exist"),
        ("file", "is a file"),
        ("empty", "no data.mdb"),
        ("junk", "cannot be opened as an LMDB"),
        ("level", "is of backend leveldb"),
        ("norecord", "holds no record"),
    ]:
        with pytest.raises(CaffeError, match=match):
            open_db(tmp_path / name)
    with pytest.raises(CaffeError, match="unknown database backend 'lmbd'.*did you mean 'lmdb'"):
        open_db(tmp_path, "lmbd")


def test_a_file_cut_short_is_refused_before_a_bus_error(tmp_path):
    shutil.copytree(GOLDEN / "db_resize", tmp_path / "db")
    path = tmp_path / "db/data.mdb"
    path.chmod(0o644)
    os.truncate(path, path.stat().st_size - 4096)
    with pytest.raises(CaffeError, match="cut short"):
        open_db(tmp_path / "db")


def test_what_exists_is_not_overwritten_unless_it_is_a_database_and_asked_for(tmp_path):
    make(tmp_path / "db", records(1))
    with pytest.raises(CaffeError, match="exists; remove it or give --overwrite"):
        make(tmp_path / "db", records(2))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("years")
    with pytest.raises(CaffeError, match="is no database"):
        make(tmp_path / "mine", records(2), overwrite=True)
    assert (tmp_path / "mine/thesis.tex").read_text() == "years"
