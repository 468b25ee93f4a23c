"""Damaged pages of an LMDB are detected before LMDB reads them, which would abort the process."""

import random
import subprocess
import sys

import pytest

from caffe.data.db import create_db, lmdb_check, open_db
from caffe.errors import CaffeError

PAGE = 4096


@pytest.fixture
def database(tmp_path):
    """300 records, some of them larger than a page; three levels of pages."""
    with create_db(tmp_path / "db") as writer:
        for number in range(300):
            writer.put(
                b"%08d" % number + b"k" * 300, bytes([number % 251]) * random.Random(number).choice([3, 900, 9000])
            )
    return tmp_path / "db"


def test_valid_databases_pass(database, tmp_path):
    lmdb_check.check(str(database / "data.mdb"))
    with open_db(database) as db:
        assert sum(1 for _ in db) == 300
    with create_db(tmp_path / "empty"):
        pass
    lmdb_check.check(str(tmp_path / "empty" / "data.mdb"))


@pytest.mark.parametrize("page_type", ["branch", "leaf", "overflow"])
def test_a_page_of_zeros_raises(database, page_type):
    path = database / "data.mdb"
    data = bytearray(path.read_bytes())
    flag = {"branch": 1, "leaf": 2, "overflow": 4}[page_type]
    tree = lmdb_check._Tree(path.open("rb").read())
    tree.check()
    used = [n for n in range(2, tree.pages) if data[n * PAGE + 10] & 7 == flag and tree.seen[n]]
    number = next(n for n in used if int.from_bytes(data[n * PAGE : n * PAGE + 8], "little") == n)
    data[number * PAGE : (number + 1) * PAGE] = bytes(PAGE)
    path.write_bytes(data)
    with pytest.raises(
        CaffeError, match=f"damaged: page {number} has a wrong number or type; create the database again"
    ):
        open_db(database)


READ_ALL = """
import contextlib, random, sys
from caffe.data.db import open_db
from caffe.errors import CaffeError
path, seed, count = sys.argv[1] + "/data.mdb", int(sys.argv[2]), int(sys.argv[3])
valid, rng, rejected = open(path, "rb").read(), random.Random(seed), 0
for number in range(count):
    data = bytearray(valid)
    if number % 2:
        page = rng.randrange(len(data) // 4096)
        data[page * 4096:(page + 1) * 4096] = bytes(4096)
    else:
        for _ in range(rng.randint(1, 3)):
            page = rng.randrange(len(data) // 4096)
            data[page * 4096 + int(4096 * rng.random() ** 4)] = rng.randrange(256)
    with open(path, "r+b") as stream:
        stream.write(data)
    try:
        with open_db(sys.argv[1]) as db:
            for _ in db:
                pass
            db.record(rng.randrange(len(db)))
    except CaffeError:
        rejected += 1
print(rejected)
"""


def test_no_damage_aborts_the_process(database):
    process = subprocess.run([sys.executable, "-c", READ_ALL, database, "1", "300"], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[-1000:]
    assert int(process.stdout) > 60


def test_a_changed_database_is_checked_again(database):
    path = str(database / "data.mdb")
    lmdb_check.check(path)
    with open(path, "r+b") as stream:
        stream.seek(2 * PAGE)
        stream.write(bytes(40 * PAGE))
    with pytest.raises(CaffeError, match="damaged"):
        lmdb_check.check(path)
