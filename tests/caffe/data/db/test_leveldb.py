"""LevelDB without its library: a database written by the library, round trips, and the library if installed."""

import importlib.util
import os
import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from caffe.data import datum
from caffe.data.db import create_db, open_db
from caffe.data.db import leveldb_format as form
from caffe.errors import CaffeError
from caffe.proto.wire_format import WireError
from caffe.tools import main

GOLDEN = Path(__file__).parents[3] / "golden"


def golden_rows():
    """The records of tests/golden/leveldb, computed by the rule it was written with."""

    def value(index):
        return bytes(range(index % 256)) * (index % 11) + b"%d" % (index * index)

    rows = {index: value(index) for index in range(300) if index % 7}
    rows.update({index: b"again %d" % index for index in range(3, 300, 11)})
    rows.update({index: value(index) * 9 for index in range(400, 410) if index != 403})
    return [(b"%08d_p" % index, rows[index]) for index in sorted(rows)]


def rows_of_sizes(*sizes):
    rng = np.random.default_rng(0)
    return [(b"%08d_k" % index, rng.bytes(size)) for index, size in enumerate(sizes)]


def write_database(path, rows, **options):
    with create_db(path, "leveldb", **options) as writer:
        for key, value in rows:
            writer.put(key, value)


def test_database_written_by_the_library():
    rows = golden_rows()
    with open_db(GOLDEN / "leveldb" / "db", 0) as db:
        assert len(db) == len(rows) and list(db) == rows
        assert list(islice(db.at(len(rows) - 1), 3)) == [rows[-1], *rows[:2]]
        assert next(db.at(3 * len(rows) + 5)) == rows[5]


@pytest.mark.parametrize(
    "sizes",
    [
        [0],
        [5, 0, 1],
        [70000] * 3,
        [10] * 20000,
        [154600] * 220,
        [33 << 20, 1],
    ],
    ids=["one", "few", "blocks", "many", "tables", "large"],
)
def test_round_trip(tmp_path, sizes):
    rows = rows_of_sizes(*sizes)
    write_database(tmp_path / "db", rows)
    with open_db(tmp_path / "db", "LEVELDB") as db:
        assert list(db) == rows
    if importlib.util.find_spec("plyvel"):
        import plyvel

        with plyvel.DB(str(tmp_path / "db"), paranoid_checks=True) as db:
            assert list(db.iterator(verify_checksums=True)) == rows


def test_output_is_deterministic_and_unordered_keys_are_rejected(tmp_path):
    rows = rows_of_sizes(*range(0, 3000, 7))
    for name in "ab":
        write_database(tmp_path / name, rows)
    for name in os.listdir(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    with pytest.raises(CaffeError, match="not greater than the previous"):
        write_database(tmp_path / "c", [(b"b", b""), (b"a", b"")])
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_convert_imageset_and_compute_image_mean_with_leveldb(tmp_path):
    root = str(GOLDEN / "tools") + "/"
    flags = ["--backend=leveldb", "--resize_width=64", "--resize_height=48", "--allow_broken"]
    db = str(tmp_path / "db")
    assert main(["convert_imageset", *flags, root, root + "list.txt", db]) == 0
    with open_db(db, "leveldb") as level, open_db(GOLDEN / "tools/lmdb/db_resize") as expected:
        assert list(level) == list(expected) and datum.decode(next(level.at(0))[1])[0].shape == (3, 48, 64)
    assert main(["compute_image_mean", "-backend", "leveldb", db, str(tmp_path / "mean")]) == 0
    assert (tmp_path / "mean").read_bytes() == (GOLDEN / "tools/mean_resize.binaryproto").read_bytes()
    assert main(["convert_imageset", *flags, "--overwrite", root, root + "list.txt", db]) == 0


def test_checksum_agrees_with_a_bitwise_loop():
    assert form.crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C
    rng = np.random.default_rng(0)
    for length in (0, 1, 63, 64, 65, 1023, 1024, 1025, 4097):
        data, crc = rng.bytes(length), 0xFFFFFFFF
        for byte in data:
            crc ^= byte
            for _ in range(8):
                crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        assert form.crc32c(data) == crc ^ 0xFFFFFFFF


@pytest.mark.parametrize("length", [0, 1, 7, 32761, 32762, 32768, 70000, 200000])
def test_log_records_span_blocks(length):
    record = np.random.default_rng(0).bytes(length)
    log = form.log_bytes(record)
    assert list(form.log_records(log)) == [record]
    assert list(form.log_records(log[:-1])) == []  # incomplete
    if length:
        with pytest.raises(WireError, match="checksum"):
            list(form.log_records(log[:-1] + bytes([log[-1] ^ 1])))


@pytest.mark.parametrize(
    "data, plain",
    [
        (b"\x00", b""),
        (b"\x03\x08abc", b"abc"),
        (b"\x0a\x04ab" + b"\x1e\x02\x00", b"ababababab"),
        (b"\x06\x00a" + b"\x05\x01", b"aaaaaa"),
        (b"\x50\xf0\x4f" + b"x" * 80, b"x" * 80),
        (b"\x03\x00a" + b"\x07\x01\x00\x00\x00", b"aaa"),
    ],
)
def test_snappy_examples(data, plain):
    assert form.uncompress(data) == plain


@pytest.mark.parametrize(
    "data",
    [
        b"\x05\x10abc",
        b"\x04\x00a\x05\x09",
        b"\x04\x00a\x05",
        b"\xff",
        b"\x04\x00a\x06\x01",
        b"\x04\x08abc",
    ],
)
def test_invalid_snappy(data):
    with pytest.raises(WireError):
        form.uncompress(data)


def test_damaged_databases_are_rejected(tmp_path):
    source = GOLDEN / "leveldb" / "db"
    tables = sorted(name for name in os.listdir(source) if name.endswith(".ldb"))

    def damage(name, change):
        folder = tmp_path / "damaged"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
        for path in folder.iterdir():
            path.chmod(0o644)
        change(folder / name)
        with pytest.raises(CaffeError, match="cannot be read as a LevelDB"):
            open_db(folder, "leveldb")

    damage(tables[0], os.unlink)
    damage(tables[0], lambda path: os.truncate(path, 100))
    damage(tables[0], lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\0"))
    damage(tables[0], lambda path: path.write_bytes(b"\xff" * 60 + path.read_bytes()[60:]))
    damage("CURRENT", lambda path: path.write_bytes(b"\xff\xfe"))
    damage("CURRENT", lambda path: path.write_text("../../etc/passwd\n"))
    manifest = next(name for name in os.listdir(source) if name.startswith("MANIFEST"))
    damage(manifest, lambda path: path.write_bytes(form.log_bytes(b"\x01\x05other")))
    damage(manifest, lambda path: path.write_bytes(form.log_bytes(b"\x63\x05")))
    with pytest.raises(CaffeError, match="is a database of backend lmdb"):
        open_db(GOLDEN / "tools/lmdb/db_gray", "leveldb")
