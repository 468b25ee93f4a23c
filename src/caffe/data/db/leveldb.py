"""LevelDB databases, read and written without the LevelDB library (see leveldb_format)."""

from __future__ import annotations

import contextlib
import io
import operator
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from caffe.data.db import leveldb_format as form
from caffe.data.db import refuse_no_database
from caffe.errors import CaffeError
from caffe.proto.wire_format import WireError, read_varint, varint
from caffe.utils.atomic_io import atomic_folder

_COMPARATOR = b"leveldb.BytewiseComparator"
_BLOCK_BYTES, _TABLE_BYTES = 64 << 10, 32 << 20  # sizes at which a block (as Caffe's) and a table are closed
_LEVEL = 6  # the last level, which compaction does not touch


def open_reader(source: str) -> LevelReader:
    """Open the LevelDB folder `source` for reading; raise CaffeError if it is invalid."""
    return LevelReader(source)


class _Location(NamedTuple):
    """Location of a record's value: a block of a table (or a whole log, size 0) and a byte range in it."""

    file: str
    offset: int
    size: int
    start: int
    end: int


@dataclass
class _Version:
    """State of a manifest: the live tables, and the first log that is not yet compacted into them."""

    tables: set[tuple[int, int]] = field(default_factory=set)  # (level, number)
    log: int = 0
    previous_log: int = 0


class LevelReader:
    """Reader of a LevelDB (see caffe.data.db.DB); it changes no file, not even LOCK.

    Opening reads the whole database once to index its keys. As in LevelDB by default, block checksums are not verified.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self._stream: io.BufferedReader | None = None
        self._cached: tuple[tuple, bytes] = ((), b"")
        self._lock = threading.Lock()
        try:
            self._keys, self._locations = self._index()
        except (WireError, OSError, UnicodeDecodeError) as error:
            self.close()
            raise CaffeError(f"'{source}' cannot be read as a LevelDB: {error}") from None

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        for index in range(len(self._keys)):
            yield self.record(index)

    def record(self, index: int) -> tuple[bytes, bytes]:
        """Return the record at `index` in key order."""
        location = self._locations[index]
        try:
            with self._lock:
                block = self._block(*location[:3])
        except (WireError, OSError) as error:
            raise CaffeError(f"database '{self.source}' is damaged: {location.file}: {error}") from error
        return self._keys[index], block[location.start : location.end]

    def at(self, index: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield records endlessly from `index` (modulo the length)."""
        while True:
            yield self.record(index % len(self._keys))
            index += 1

    def close(self) -> None:
        """Close the open file."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._cached = ((), b"")

    def __enter__(self) -> LevelReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # ---- reading

    def _read(self, name: str, offset: int, size: int) -> bytes:
        path = os.path.join(self.source, name)
        stream = self._stream
        if stream is None or stream.name != path:
            self.close()
            self._stream = stream = open(path, "rb")  # noqa: SIM115 - kept for the next block
        stream.seek(offset)
        data = stream.read(size)
        if len(data) != size:
            raise WireError(f"{name} is truncated")
        return data

    def _block(self, name: str, offset: int, size: int) -> bytes:
        """Return the contents of a block, cached until the next one is read; size 0 means a whole log."""
        if self._cached[0] != (name, offset, size):
            if size:
                data = self._read(name, offset, size + form.BLOCK_TRAILER)
                contents, compression = data[:size], data[size]
                if compression not in (0, 1):
                    raise WireError(f"{name}: unknown compression {compression}; only Snappy is supported")
                contents = form.uncompress(contents) if compression else contents
            else:
                contents = b"".join(form.log_records(self._whole(name)))
            self._cached = ((name, offset, size), contents)
        return self._cached[1]

    def _whole(self, name: str) -> bytes:
        return self._read(name, 0, os.path.getsize(os.path.join(self.source, name)))

    # ---- the index

    def _index(self) -> tuple[list[bytes], list[_Location]]:
        """Return the keys in order and the locations of their newest values, without deleted keys."""
        names = os.listdir(self.source)
        current = self._whole("CURRENT").decode().strip() if "CURRENT" in names else ""
        if current not in names or not current.startswith("MANIFEST-"):
            raise WireError("CURRENT does not name a manifest")
        version = _version(self._whole(current))
        entries: list[tuple[bytes, int, int, _Location]] = []
        for _, number in sorted(version.tables):
            table = next((n for n in (f"{number:06}.ldb", f"{number:06}.sst") if n in names), None)
            if table is None:
                raise WireError(f"table {number:06d}.ldb is missing")
            entries += self._table_entries(table)
        for name in sorted(names):
            stem, extension = os.path.splitext(name)
            if extension == ".log" and stem.isdigit() and int(stem) in _logs(version, names):
                entries += self._log_entries(name)
        return _newest(entries)

    def _table_entries(self, name: str) -> Iterator[tuple[bytes, int, int, _Location]]:
        size = os.path.getsize(os.path.join(self.source, name))
        footer = self._read(name, max(size - form.FOOTER, 0), min(form.FOOTER, size))
        index = self._block(name, *form.index_handle(footer))
        for _, start, end in form.block_entries(index):
            offset, length, _ = form.read_handle(memoryview(index)[start:end], 0)
            for key, value, after in form.block_entries(self._block(name, offset, length)):
                if len(key) < 8:
                    raise WireError(f"a key of {len(key)} bytes in {name}")
                tag = int.from_bytes(key[-8:], "little")
                yield key[:-8], tag >> 8, tag & 0xFF, _Location(name, offset, length, value, after)

    def _log_entries(self, name: str) -> Iterator[tuple[bytes, int, int, _Location]]:
        """Yield the entries of a log's write batches; a batch is sequence, count, then puts and deletions."""
        base = 0
        for record in form.log_records(self._whole(name)):
            view, sequence, at = memoryview(record), int.from_bytes(record[:8], "little"), 12
            while at < len(record):
                value_type = record[at]
                size, at = read_varint(view, at + 1)
                key, at = record[at : at + size], at + size
                size, at = read_varint(view, at) if value_type == form.VALUE else (0, at)
                if value_type not in (form.VALUE, form.DELETION) or at + size > len(record):
                    raise WireError(f"{name}: invalid write of type {value_type}")
                yield key, sequence, value_type, _Location(name, 0, 0, base + at, base + at + size)
                at += size
                sequence += 1
            base += len(record)


def _newest(entries: list) -> tuple[list[bytes], list[_Location]]:
    entries.sort(key=operator.itemgetter(1), reverse=True)
    entries.sort(key=operator.itemgetter(0))
    keys: list[bytes] = []
    locations: list[_Location] = []
    previous = None
    for key, _, value_type, location in entries:
        if key != previous and value_type == form.VALUE:
            keys.append(key)
            locations.append(location)
        previous = key
    return keys, locations


def _logs(version: _Version, names: list[str]) -> set[int]:
    numbers = {int(n[:-4]) for n in names if n.endswith(".log") and n[:-4].isdigit()}
    return {n for n in numbers if n >= version.log or n == version.previous_log}


def _version(manifest: bytes) -> _Version:
    """Apply the edits of a manifest, each a sequence of tagged fields."""
    version = _Version()
    for record in form.log_records(manifest):
        view, at = memoryview(record), 0
        while at < len(record):
            tag, at = read_varint(view, at)
            at = _apply_field(version, tag, view, at)
    return version


def _apply_field(version: _Version, tag: int, view: memoryview, at: int) -> int:
    def number() -> int:
        nonlocal at
        value, at = read_varint(view, at)
        return value

    def text() -> bytes:
        nonlocal at
        size = number()
        at += size
        return bytes(view[at - size : at])

    if tag == 1:
        comparator = text()
        if comparator != _COMPARATOR:
            raise WireError(f"unsupported comparator {comparator!r}")
    elif tag == 2:
        version.log = number()
    elif tag == 9:
        version.previous_log = number()
    elif tag in (3, 4):  # next file, last sequence
        number()
    elif tag == 5:  # start of the next compaction of a level
        number(), text()
    elif tag == 6:
        version.tables.discard((number(), number()))
    elif tag == 7:
        version.tables.add((number(), number()))
        number(), text(), text()  # size, smallest and largest key
    else:
        raise WireError(f"unknown field {tag} in a manifest")
    return at


@contextlib.contextmanager
def create(path: str) -> Iterator[LevelWriter]:
    """Context manager that writes a new LevelDB to `path` atomically."""
    with atomic_folder(path, refuse=refuse_no_database) as folder, LevelWriter(folder) as writer:
        yield writer


class LevelWriter:
    """Writes records in ascending key order to uncompressed tables of the last level."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._count = 0
        self._last: bytes | None = None
        self._number = 4  # of the next table
        self._stream: io.BufferedWriter | None = None
        self._entries: list[tuple[bytes, form.Buffer]] = []  # of the block being filled
        self._bytes = 0
        self._index: list[tuple[bytes, bytes]] = []  # of the table being filled
        self._first = b""
        self._files: list[tuple[int, int, bytes, bytes]] = []

    def put(self, key: bytes, value: form.Buffer) -> None:
        """Add a record; raise CaffeError if the key is not greater than the previous one."""
        if self._last is not None and key <= self._last:
            raise CaffeError(f"key {key!r} is not greater than the previous one")
        self._last = key
        self._count += 1
        internal = key + (self._count << 8 | form.VALUE).to_bytes(8, "little")
        stream = self._stream or self._begin_table(internal)
        self._entries.append((internal, value))
        self._bytes += len(key) + len(value) + 16
        if self._bytes >= _BLOCK_BYTES:
            self._end_block(stream)
        if stream.tell() >= _TABLE_BYTES:
            self._end_table()

    def _begin_table(self, first: bytes) -> io.BufferedWriter:
        self._first = first
        path = os.path.join(self._folder, f"{self._number:06}.ldb")
        self._stream = open(path, "wb")  # noqa: SIM115 - closed at the table's end
        return self._stream

    def _end_block(self, stream: io.BufferedWriter) -> None:
        if self._entries:
            handle = _write_block(stream, self._entries)
            self._index.append((self._entries[-1][0], handle))
            self._entries, self._bytes = [], 0

    def _end_table(self) -> None:
        stream = self._stream
        if stream is None:
            return
        self._end_block(stream)
        metaindex, index = _write_block(stream, []), _write_block(stream, self._index)
        stream.write(form.footer_bytes(metaindex, index))
        self._files.append((self._number, stream.tell(), self._first, self._index[-1][0]))
        self._close()
        self._number += 1
        self._index = []

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()
            self._stream = None

    def _write_manifest(self) -> None:
        def text(value: bytes) -> bytes:
            return varint(len(value)) + value

        edit = b"\x01" + text(_COMPARATOR) + b"\x02\x00\x09\x00"
        edit += b"\x03" + varint(self._number + 1) + b"\x04" + varint(self._count)
        for number, size, first, last in self._files:
            edit += b"\x07" + varint(_LEVEL) + varint(number) + varint(size) + text(first) + text(last)
        for name, data in [("MANIFEST-000002", form.log_bytes(edit)), ("CURRENT", b"MANIFEST-000002\n")]:
            with open(os.path.join(self._folder, name), "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())

    def __enter__(self) -> LevelWriter:
        return self

    def __exit__(self, exc_type: object, *exc_info: object) -> None:
        if exc_type is None:
            self._end_table()
            self._write_manifest()
        self._close()


def _write_block(stream: io.BufferedWriter, entries: Sequence[tuple[bytes, form.Buffer]]) -> bytes:
    """Write a block with its trailer; return its handle."""
    block = form.block_bytes(entries)
    offset = stream.tell()
    crc = form.masked(form.crc32c(block + b"\0"))
    stream.write(block + b"\0" + crc.to_bytes(4, "little"))
    return form.handle_bytes(offset, len(block))
