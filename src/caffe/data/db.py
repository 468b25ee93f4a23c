"""The small interface behind which a database of records stands, whatever its kind."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from caffe.errors import CaffeError, did_you_mean

_BACKENDS = {"leveldb": "caffe.data.leveldb", "lmdb": "caffe.data.lmdb"}  # in the order of DataParameter.DB


class DB(Protocol):
    """An open database, read only; `with` closes it. Records are (key, value) bytes in key order."""

    source: str

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]: ...

    def record(self, index: int) -> tuple[bytes, bytes]:
        """The record at `index`, 0..length-1, in key order."""
        ...

    def at(self, index: int) -> Iterator[tuple[bytes, bytes]]:
        """Records from `index` (modulo the length) on without end: after the last comes the first."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> DB: ...

    def __exit__(self, *error: object) -> None: ...


class Writer(Protocol):
    """A database in the making; keys come in ascending order."""

    def put(self, key: bytes, value: bytes | bytearray | memoryview) -> None: ...


def open_db(source: str | os.PathLike, backend: str | int = "lmdb") -> DB:
    """Open a database that holds records, or say why not; `backend` is a name or Caffe's number."""
    source = os.fspath(source)
    name = backend_name(backend)
    if not os.path.isdir(source):
        kind = "is a file, not a folder" if os.path.exists(source) else "does not exist"
        raise CaffeError(f"{name} database '{source}' {kind}; convert_imageset makes one")
    other = "leveldb" if name == "lmdb" else "lmdb"
    if _looks_like(other, source) and not _looks_like(name, source):
        raise CaffeError(f"'{source}' is of backend {other}, not {name}; set backend to that")
    db = importlib.import_module(_BACKENDS[name]).open_reader(source)
    if not len(db):
        db.close()
        raise CaffeError(f"{name} database '{source}' holds no record")
    return db


def create_db(
    path: str | os.PathLike, backend: str | int = "lmdb", overwrite: bool = False
) -> AbstractContextManager[Writer]:
    """A new database as a context: it appears whole at its end, or not at all.

    Caffe refuses a folder that exists; so does this. `overwrite` replaces a database and nothing else.
    """
    path = os.fspath(path)
    if os.path.lexists(path):
        if not overwrite:
            raise CaffeError(f"database '{path}' exists; remove it or give --overwrite")
        refuse_no_database(path)
    return importlib.import_module(_BACKENDS[backend_name(backend)]).create(path)


def refuse_no_database(path: str) -> None:
    """Raise CaffeError where `path` is something else than a database's folder."""
    if os.path.lexists(path) and not _is_database(path):
        raise CaffeError(f"'{path}' exists and is no database: it will not be overwritten")


def backend_name(backend: str | int) -> str:
    """lmdb or leveldb, from any spelling of it or from Caffe's enum number."""
    names = list(_BACKENDS)
    if isinstance(backend, int) and 0 <= backend < len(names):
        return names[backend]
    name = str(backend).lower()
    if name not in names:
        raise CaffeError(
            f"unknown database backend '{backend}'; lmdb and leveldb are allowed{did_you_mean(name, names)}"
        )
    return name


def _looks_like(name: str, folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, "CURRENT" if name == "leveldb" else "data.mdb"))


def _is_database(path: str) -> bool:
    """Whether a folder holds a database's files and nothing else."""
    if os.path.islink(path) or not os.path.isdir(path):
        return False
    names = set(os.listdir(path))
    if names <= {"data.mdb", "lock.mdb"}:
        return True
    own = {"CURRENT", "LOCK", "LOG", "LOG.old"}
    tables = (".ldb", ".sst", ".log", ".dbtmp")
    return all(name in own or name.startswith("MANIFEST-") or name.endswith(tables) for name in names)
