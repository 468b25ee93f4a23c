"""Lock of a snapshot_prefix: two trainings with the same prefix would overwrite each other's snapshots.

The lock is an flock on the file `.NAME.lock` next to the snapshots; the system releases it when the process ends. It is
shared within a process, because scripts and notebooks make several solvers of one file.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import IO

from caffe.errors import CaffeError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@dataclasses.dataclass
class _Lock:
    """A locked file of this process, and how many hold it."""

    stream: IO[str]
    pid: int
    holders: int = 0


_locks: dict[str, _Lock] = {}  # by path


def hold(prefix: str) -> Callable[[], None]:
    """Lock `prefix` until the returned function is called.

    Raises
    ------
    CaffeError
        If another process holds it. Folders that cannot be written and file systems without locks are not locked.
    """
    path = _path(prefix)
    lock = _locks.get(path)
    if lock is None or lock.pid != os.getpid():  # after a fork the lock is the parent's
        stream = _locked(path, prefix)
        if stream is None:
            return lambda: None
        lock = _locks[path] = _Lock(stream, os.getpid())
    lock.holders += 1
    return lambda: _release(path, lock)


def _path(prefix):
    folder, name = os.path.split(os.path.realpath(prefix + "_"))  # "_": a prefix may end with a slash
    return os.path.join(folder, f".{name[:-1]}.lock")


def _locked(path, prefix):
    """Return the open and locked file, or None where there are no locks."""
    if fcntl is None:
        return None
    while True:
        try:
            stream = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - open as long as the lock is held
        except OSError:
            return None
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            owner = stream.read(20).strip()
            stream.close()
            raise CaffeError(
                f"another training{f' (process {owner})' if owner else ''} writes the snapshots of '{prefix}': wait "
                "until it has finished or set another snapshot_prefix"
            ) from None
        except OSError:
            stream.close()
            return None
        if _is_same_file(stream, path):  # its last holder may just have deleted it
            stream.truncate(0)
            stream.write(f"{os.getpid()}\n")
            stream.flush()
            return stream
        stream.close()


def _is_same_file(stream, path):
    try:
        return os.path.samestat(os.fstat(stream.fileno()), os.stat(path))
    except OSError:
        return False


def _release(path, lock):
    if lock.pid != os.getpid():
        return
    lock.holders -= 1
    if not lock.holders:
        del _locks[path]
        os.unlink(path)
        lock.stream.close()
