"""Several databases as one: a list file names them, one folder per line, in key order."""

from __future__ import annotations

import bisect
import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any

from caffe.errors import CaffeError
from caffe.utils import atomic_io

_MAX_LIST = 1 << 24  # bytes


def shard_name(name: str, number: int, count: int) -> str:
    """Return the folder of shard `number` of `count` of the database `name`."""
    return f"{name}-{number:05d}-of-{count:05d}"


def write_list(path: str, folders: Sequence[str]) -> None:
    """Write the list file of shards; folders below its own are written relative to it."""
    parent = os.path.dirname(os.path.abspath(path))
    lines = [os.path.relpath(os.path.abspath(folder), parent) for folder in folders]
    atomic_io.write_bytes(path, "".join(line + "\n" for line in lines))


def read_list(path: str) -> list[str] | None:
    """Return the folders that the file `path` names, or None if it is not a list of folders."""
    try:
        with open(path, "rb") as stream:
            data = stream.read(_MAX_LIST + 1)
    except OSError:
        return None
    if not data or len(data) > _MAX_LIST or b"\0" in data:
        return None
    parent = os.path.dirname(os.path.abspath(path))
    folders = [os.path.join(parent, os.fsdecode(line.strip())) for line in data.split(b"\n") if line.strip()]
    return folders if any(map(os.path.isdir, folders)) else None


class ShardedReader:
    """The records of several databases (see caffe.data.db.DB), one after the other."""

    def __init__(self, source: str, readers: Sequence[Any]) -> None:
        self.source, self._readers = source, list(readers)
        self._ends = list(itertools.accumulate(map(len, self._readers)))

    def __len__(self) -> int:
        return self._ends[-1]

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        for reader in self._readers:
            yield from reader

    def record(self, index: int) -> tuple[bytes, bytes]:
        """Return the record at `index`."""
        number, first = self._find(index)
        return self._readers[number].record(index - first)

    def at(self, index: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield records endlessly from `index` (modulo the length)."""
        number, first = self._find(index % len(self))
        offset = index % len(self) - first
        while True:
            reader = self._readers[number]
            yield from itertools.islice(reader.at(offset), len(reader) - offset)
            number, offset = (number + 1) % len(self._readers), 0

    def _find(self, index):
        number = bisect.bisect_right(self._ends, index)
        return number, self._ends[number - 1] if number else 0

    def close(self) -> None:
        """Close all databases."""
        for reader in self._readers:
            reader.close()

    def __enter__(self) -> ShardedReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def merge(writer: Any, readers: Sequence[Any]) -> int:
    """Append the records of `readers` to `writer` and return their number.

    Raises
    ------
    CaffeError
        If the first key of a database is not greater than the last key of the one before.
    """
    count, last, before = 0, None, ""
    for reader in readers:
        for number, (key, value) in enumerate(reader):
            if not number and last is not None and key <= last:
                raise CaffeError(
                    f"'{reader.source}' starts with the key {key!r}, which is not greater than the last key {last!r} "
                    f"of '{before}'; name the databases in key order"
                )
            writer.put(key, value)
            last, count = key, count + 1
        before = reader.source
    return count
