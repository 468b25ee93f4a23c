"""Common interface of the database backends LMDB and LevelDB."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from caffe.errors import CaffeError, did_you_mean

_BACKENDS = {"leveldb": "caffe.data.db.leveldb", "lmdb": "caffe.data.db.lmdb"}  # in the order of DataParameter.DB


class DB(Protocol):
    """A database open for reading; a context manager. Records are (key, value) bytes in key order."""

    source: str

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]: ...

    def record(self, index: int) -> tuple[bytes, bytes]:
        """Return the record at `index`, 0..length-1, in key order."""
        ...

    def at(self, index: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield records endlessly from `index` (modulo the length), restarting after the last."""
        ...

    def close(self) -> None:
        """Close the database."""
        ...

    def __enter__(self) -> DB: ...

    def __exit__(self, *error: object) -> None: ...


class Writer(Protocol):
    """A database being written; keys must be in ascending order."""

    def put(self, key: bytes, value: bytes | bytearray | memoryview) -> None:
        """Add a record."""
        ...


def open_db(source: str | os.PathLike, backend: str | int = "lmdb") -> DB:
    """Open a database for reading.

    Parameters
    ----------
    source : str or path
        Folder of the database, or a file that lists the folders of its shards (see caffe.data.db.shards).
    backend : str or int
        "lmdb", "leveldb" or Caffe's enum number.

    Returns
    -------
    DB

    Raises
    ------
    CaffeError
        If the folder is missing, empty, damaged or of the other backend.
    """
    source = os.fspath(source)
    name = backend_name(backend)
    folders = _shards(source)
    if folders:
        return _open_shards(source, folders, name)
    if not os.path.isdir(source):
        problem = "is a file, not a folder" if os.path.exists(source) else "does not exist"
        raise CaffeError(f"{name} database '{source}' {problem}; create one with convert_imageset")
    other = "leveldb" if name == "lmdb" else "lmdb"
    if _looks_like(other, source) and not _looks_like(name, source):
        raise CaffeError(f"'{source}' is a database of backend {other}, not {name}; set backend to {other}")
    db = importlib.import_module(_BACKENDS[name]).open_reader(source)
    if not len(db):
        db.close()
        raise CaffeError(f"{name} database '{source}' is empty")
    return db


def _shards(source: str) -> list[str] | None:
    if not os.path.isfile(source):
        return None
    from caffe.data.db import shards

    return shards.read_list(source)


def _open_shards(source: str, folders: list[str], name: str) -> DB:
    from caffe.data.db.shards import ShardedReader

    readers: list[DB] = []
    try:
        for folder in folders:
            readers.append(open_db(folder, name))
    except CaffeError as error:
        for reader in readers:
            reader.close()
        raise CaffeError(f"{source}: {error}") from None
    return ShardedReader(source, readers)


def create_db(
    path: str | os.PathLike, backend: str | int = "lmdb", overwrite: bool = False
) -> AbstractContextManager[Writer]:
    """Return a context manager that writes a new database atomically.

    Like Caffe, raise CaffeError if the folder exists. With `overwrite` an existing database is replaced, but no other
    folder.
    """
    path = os.fspath(path)
    if os.path.lexists(path):
        if not overwrite:
            raise CaffeError(f"database '{path}' exists; remove it or use --overwrite")
        refuse_no_database(path)
    return importlib.import_module(_BACKENDS[backend_name(backend)]).create(path)


def refuse_no_database(path: str) -> None:
    """Raise CaffeError if `path` exists and is not the folder of a database."""
    if os.path.lexists(path) and not _is_database(path):
        raise CaffeError(f"'{path}' exists and is not a database; it is not overwritten")


def backend_name(backend: str | int) -> str:
    """Return "lmdb" or "leveldb" for a name in any case or Caffe's enum number."""
    names = list(_BACKENDS)
    if isinstance(backend, int) and 0 <= backend < len(names):
        return names[backend]
    name = str(backend).lower()
    if name not in names:
        raise CaffeError(f"unknown database backend '{backend}'; use lmdb or leveldb{did_you_mean(name, names)}")
    return name


def _looks_like(name: str, folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, "CURRENT" if name == "leveldb" else "data.mdb"))


def _is_database(path: str) -> bool:
    """Return whether a folder contains the files of a database and nothing else."""
    if os.path.islink(path) or not os.path.isdir(path):
        return False
    names = set(os.listdir(path))
    if names <= {"data.mdb", "lock.mdb"}:
        return True
    level_files = {"CURRENT", "LOCK", "LOG", "LOG.old"}
    extensions = (".ldb", ".sst", ".log", ".dbtmp")
    return all(name in level_files or name.startswith("MANIFEST-") or name.endswith(extensions) for name in names)
