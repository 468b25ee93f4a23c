"""LMDB reader and writer, compared with the lmdb package and real Caffe's databases."""

import os
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from support.reference_lmdb import rows

from caffe.data.db import create_db, open_db
from caffe.data.db.lmdb import LmdbWriter
from caffe.errors import CaffeError

GOLDEN = Path(__file__).parents[3] / "golden" / "tools" / "lmdb"


def records(count, size=50):
    return [(b"%08d_x" % index, bytes([index % 256]) * (size + index % 7)) for index in range(count)]


def write_database(path, pairs, **options):
    with create_db(path, "lmdb", **options) as writer:
        for key, value in pairs:
            writer.put(key, value)


@pytest.mark.parametrize("name", sorted(path.name for path in GOLDEN.iterdir()))
def test_databases_of_real_caffe(name):
    expected = rows(GOLDEN / name)
    files_before = os.listdir(GOLDEN / name)
    with open_db(GOLDEN / name, "LMDB") as db:
        assert len(db) == 17 and list(db) == expected
        assert list(islice(db.at(15), 4)) == [*expected[15:], *expected[:2]]
        assert next(db.at(17 * 5 + 3)) == expected[3]
    assert os.listdir(GOLDEN / name) == files_before  # no lock file was left


def test_lmdb_reads_what_was_written_with_many_commits_and_a_growing_map(tmp_path):
    expected = records(1500, 60000)
    write_database(tmp_path / "db", expected)
    assert rows(tmp_path / "db") == expected
    assert sorted(os.listdir(tmp_path / "db")) == ["data.mdb"]
    assert os.listdir(tmp_path) == ["db"]


def test_output_is_deterministic(tmp_path):
    for name in "ab":
        write_database(tmp_path / name, records(2500))
    assert (tmp_path / "a/data.mdb").read_bytes() == (tmp_path / "b/data.mdb").read_bytes()


def test_record_larger_than_the_initial_map(tmp_path):
    write_database(tmp_path / "db", [(b"k", memoryview(bytearray(100 << 20)))])
    with open_db(tmp_path / "db") as db:
        assert len(next(iter(db))[1]) == 100 << 20


def test_reader_survives_the_closing_of_another_reader_of_the_file(tmp_path):
    write_database(tmp_path / "db", records(3))
    first, second = open_db(tmp_path / "db"), open_db(str(tmp_path / "db"))
    iterator = second.at(0)
    next(iterator)
    first.close()
    first.close()
    assert list(islice(iterator, 3)) == [*records(3)[1:], records(3)[0]]
    with pytest.raises(CaffeError, match="closed"):
        next(iter(first))
    second.close()


def test_database_rewritten_while_open(tmp_path):
    write_database(tmp_path / "db", records(3))
    with open_db(tmp_path / "db") as old:
        write_database(tmp_path / "db", records(5), overwrite=True)
        with open_db(tmp_path / "db") as new:
            assert (len(old), len(new)) == (3, 5) and len(list(old)) == 3 and len(list(new)) == 5


def test_error_while_writing_keeps_the_previous_state(tmp_path):
    with pytest.raises(KeyError), create_db(tmp_path / "db") as writer:
        writer.put(b"a", b"b")
        raise KeyError
    assert os.listdir(tmp_path) == []
    write_database(tmp_path / "db", records(3))
    with pytest.raises(CaffeError, match="not greater than the previous"):
        write_database(tmp_path / "db", [(b"b", b""), (b"a", b"")], overwrite=True)
    with open_db(tmp_path / "db") as db:
        assert list(db) == records(3)


def test_keys_that_are_too_long(tmp_path):
    with LmdbWriter(str(tmp_path)) as writer, pytest.raises(CaffeError, match="511"):
        writer.put(b"k" * 512, b"")


def test_invalid_databases(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk/data.mdb").write_bytes(b"junk" * 5000)
    (tmp_path / "level").mkdir()
    (tmp_path / "level/CURRENT").write_text("MANIFEST-000002\n")
    write_database(tmp_path / "norecords", [])
    for name, match in [
        ("none", "does not exist"),
        ("file", "is a file"),
        ("empty", "no data.mdb"),
        ("junk", "cannot be opened as an LMDB"),
        ("level", "is a database of backend leveldb"),
        ("norecords", "is empty"),
    ]:
        with pytest.raises(CaffeError, match=match):
            open_db(tmp_path / name)
    with pytest.raises(CaffeError, match="unknown database backend 'lmbd'.*did you mean 'lmdb'"):
        open_db(tmp_path, "lmbd")


def test_truncated_file_is_rejected_before_a_bus_error(tmp_path):
    shutil.copytree(GOLDEN / "db_resize", tmp_path / "db")
    path = tmp_path / "db/data.mdb"
    path.chmod(0o644)
    os.truncate(path, path.stat().st_size - 4096)
    with pytest.raises(CaffeError, match="truncated"):
        open_db(tmp_path / "db")


READ = """
import os, shutil, sys
from itertools import islice
from caffe.data.db import open_db
from caffe.errors import CaffeError
folder, access, change = sys.argv[1:]
path = os.path.join(folder, "db", "data.mdb")
reader = open_db(os.path.join(folder, "db"))
records = {"iterate": lambda: iter(reader), "at": lambda: reader.at(3), "record": lambda: map(reader.record, range(9))}
started = records[access]()
next(started)
if change == "truncate":
    os.truncate(path, 4096)
else:
    shutil.copyfile(os.path.join(folder, "other", "data.mdb"), path)
try:
    list(islice(started, 2000))
except CaffeError as error:
    print(error)
"""


@pytest.mark.parametrize("change", ["truncate", "copy over"])
@pytest.mark.parametrize("access", ["iterate", "at", "record"])
def test_a_file_that_changes_under_a_reader_is_an_error(tmp_path, access, change):
    for name, count in (("db", 2000), ("other", 1500)):
        write_database(tmp_path / name, [(b"%08d" % i, bytes(300)) for i in range(count)])
    run = subprocess.run([sys.executable, "-c", READ, tmp_path, access, change], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "was changed or truncated while it was being read" in run.stdout


def test_only_databases_are_overwritten_and_only_with_the_flag(tmp_path):
    write_database(tmp_path / "db", records(1))
    with pytest.raises(CaffeError, match="exists; remove it or use --overwrite"):
        write_database(tmp_path / "db", records(2))
    (tmp_path / "other").mkdir()
    (tmp_path / "other/thesis.tex").write_text("text")
    with pytest.raises(CaffeError, match="is not a database"):
        write_database(tmp_path / "other", records(2), overwrite=True)
    assert (tmp_path / "other/thesis.tex").read_text() == "text"
