"""LMDB databases: read without locking, written with a memory map that grows as needed."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import lmdb

from caffe.data.db import lmdb_check, open_db, refuse_no_database
from caffe.errors import CaffeError
from caffe.utils.atomic_io import atomic_folder

__all__ = ["LmdbReader", "LmdbWriter", "create", "open_db", "open_reader"]

MAX_KEY = 511  # bytes, LMDB's limit
_COMMIT_RECORDS = 1000  # as in Caffe
_COMMIT_BYTES = 16 << 20  # uncommitted data is held in memory
_INITIAL_MAP_BYTES = 64 << 20


@dataclasses.dataclass
class _OpenFile:
    """A data.mdb that is open: LMDB maps it, so no byte of it may change or disappear."""

    environment: lmdb.Environment
    handle: int
    state: tuple[int, int]  # size and time of the last change
    readers: int = 0

    def check_unchanged(self, source: str) -> None:
        """Raise CaffeError if another program wrote to the file: LMDB would end the process (SIGBUS, SIGABRT)."""
        if _state(self.handle) != self.state:
            raise CaffeError(
                f"'{source}/data.mdb' was changed or truncated while it was being read: write a new database and "
                "rename it, as convert_imageset does"
            )

    def close(self) -> None:
        """Close the environment and the file."""
        self.environment.close()
        os.close(self.handle)


_open: dict[tuple[int, int], _OpenFile] = {}  # by device and inode of data.mdb
_open_lock = threading.RLock()  # any thread can collect a reader while another opens the same file


def open_reader(source: str) -> LmdbReader:
    """Open the LMDB folder `source` for reading; raise CaffeError if it is invalid."""
    return LmdbReader(source)


class LmdbReader:
    """Reader of an LMDB (see caffe.data.db.DB).

    It takes no lock: databases are written atomically and may be on read-only media. LMDB allows a file to be open only
    once per process, so readers of the same file share one environment.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        path = os.path.join(source, "data.mdb")
        try:
            status = os.stat(path)
        except OSError:
            raise CaffeError(f"'{source}' is not an LMDB: it has no data.mdb") from None
        self._id = (status.st_dev, status.st_ino)
        with _open_lock:
            if self._id not in _open:
                _open[self._id] = _open_file(source, path)
            self._file = _open[self._id]
            self._file.readers += 1
        self._entries: int = self._file.environment.stat()["entries"]
        self._keys: list | None = None
        self._closed = False

    def __len__(self) -> int:
        return self._entries

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        with self._cursor() as cursor:
            more = cursor.first()
            while more:
                yield cursor.item()  # type: ignore[misc] # bytes: the transaction has buffers=False
                self._file.check_unchanged(self.source)
                more = cursor.next()

    def record(self, index: int) -> tuple[bytes, bytes]:
        """Return the record at `index` in key order; the first call reads all keys."""
        with self._cursor() as cursor:
            if self._keys is None:
                self._keys = list(cursor.iternext(keys=True, values=False))
            key = self._keys[index]
            return key, cursor.get(key)  # type: ignore[return-value]

    def at(self, index: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield records endlessly from `index` (modulo the length)."""
        with self._cursor() as cursor:
            cursor.first()
            for _ in range(index % self._entries):
                cursor.next()
            while True:
                yield cursor.item()  # type: ignore[misc]
                self._file.check_unchanged(self.source)
                if not cursor.next():
                    cursor.first()

    @contextlib.contextmanager
    def transaction(self, buffers: bool = False) -> Iterator[lmdb.Transaction]:
        """Open a read transaction; raises CaffeError if the file is damaged or was changed since it was opened.

        Parameters
        ----------
        buffers : bool
            Keys and values are buffers into the file instead of bytes.
        """
        if self._closed:
            raise CaffeError(f"database '{self.source}' is closed")
        self._file.check_unchanged(self.source)
        try:
            environment = self._file.environment
            with environment.begin(buffers=True) if buffers else environment.begin() as transaction:
                yield transaction
        except lmdb.Error as error:
            raise CaffeError(f"database '{self.source}' is damaged: {error}") from error

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[lmdb.Cursor]:
        with self.transaction() as transaction:
            yield transaction.cursor()

    def close(self) -> None:
        """Release the file, which the last reader closes; open iterators then raise CaffeError."""
        with _open_lock:
            if self._closed:
                return
            self._closed = True
            self._file.readers -= 1
            if not self._file.readers:
                del _open[self._id]
                self._file.close()

    def __enter__(self) -> LmdbReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_closed"):  # the constructor did not fail
            self.close()


def _state(handle: int) -> tuple[int, int]:
    status = os.fstat(handle)
    return status.st_size, status.st_mtime_ns


def _open_file(source: str, path: str) -> _OpenFile:
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise CaffeError(f"'{path}' cannot be read: {error.strerror}") from None
    state = _state(handle)
    try:
        return _OpenFile(_environment(source, state[0]), handle, state)
    except BaseException:
        os.close(handle)
        raise


def _environment(source: str, size: int) -> lmdb.Environment:
    try:
        environment = lmdb.open(source, readonly=True, lock=False)
    except lmdb.Error as error:
        raise CaffeError(f"'{source}' cannot be opened as an LMDB: {error}") from None
    expected = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    if size < expected:  # reading past the end of the file would raise SIGBUS
        environment.close()
        raise CaffeError(f"'{source}/data.mdb' is truncated: expected {expected} bytes, received {size}")
    try:
        lmdb_check.check(os.path.join(source, "data.mdb"))
    except CaffeError:
        environment.close()
        raise
    return environment


@contextlib.contextmanager
def create(path: str) -> Iterator[LmdbWriter]:
    """Context manager that writes a new LMDB to `path` atomically."""
    try:
        with atomic_folder(path, refuse=refuse_no_database) as folder, LmdbWriter(folder) as writer:
            yield writer
    except lmdb.Error as error:  # LMDB reports a full disk as an input/output error
        raise CaffeError(f"'{path}' cannot be written as an LMDB: {error}; is the disk full?") from error


class LmdbWriter:
    """Writes records in ascending key order; the same records give the same bytes.

    Committed data is flushed to disk in the background, which keeps closing fast.
    """

    def __init__(self, folder: str) -> None:
        self._environment = lmdb.open(folder, map_size=_INITIAL_MAP_BYTES, lock=False, sync=False, metasync=False)
        self._file = os.open(os.path.join(folder, "data.mdb"), os.O_RDONLY)
        self._background = ThreadPoolExecutor(1)
        self._flush: Future[None] | None = None
        self._page: int = self._environment.stat()["psize"]
        self._pending: list[tuple[bytes, bytes | bytearray | memoryview]] = []
        self._bytes = 0

    def put(self, key: bytes, value: bytes | bytearray | memoryview) -> None:
        """Add a record; raise CaffeError at the next commit if the key is not greater than the previous one."""
        if not 0 < len(key) <= MAX_KEY:
            raise CaffeError(f"key of {len(key)} bytes: LMDB allows 1 to {MAX_KEY}")
        self._pending.append((key, value))
        self._bytes += len(value)
        if len(self._pending) >= _COMMIT_RECORDS or self._bytes >= _COMMIT_BYTES:
            self._commit()

    def _commit(self) -> None:
        self._grow_map()
        with self._environment.begin(write=True, buffers=True) as transaction:
            for key, value in self._pending:
                if not transaction.put(key, value, append=True):
                    raise CaffeError(f"key {key!r} is not greater than the previous one")
        self._pending.clear()
        self._bytes = 0
        if self._flush is None or self._flush.done():
            self._flush = self._background.submit(os.fsync, self._file)

    def _grow_map(self) -> None:
        """Double the map until the pending records fit, with pages rounded up."""
        info = self._environment.info()
        pages = self._bytes // self._page + 4 * len(self._pending) + 64
        size = info["map_size"]
        while (info["last_pgno"] + 1 + pages) * self._page > size:
            size *= 2
        if size != info["map_size"]:
            self._environment.set_mapsize(size)

    def __enter__(self) -> LmdbWriter:
        return self

    def __exit__(self, exc_type: object, *exc_info: object) -> None:
        if exc_type is None:
            self._commit()
        self._background.shutdown()
        os.close(self._file)
        if exc_type is None:
            self._environment.sync(True)
        self._environment.close()
