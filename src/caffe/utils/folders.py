"""Replace output folders atomically, and only those that an earlier run of the same command created.

The new folder is exchanged with the old one in one step (renameat2 of Linux). If the file system does not support this,
the old one is first renamed to a name ending in `.old`; the next run restores it if the process was killed in between.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import stat

from caffe.errors import CaffeError
from caffe.utils.hashing import sha256_or_none

RECORD = ".made.json"  # the command that created the folder, and the size and SHA-256 of each file
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_MANY_FILES = 64  # from this number, the whole file system is flushed first


def refuse_foreign(path: str | os.PathLike[str], by: str | None) -> None:
    """Raise CaffeError unless `path` is missing, is an empty folder, or was created entirely by the command `by`."""
    if not os.path.lexists(path):
        return
    if not os.path.isdir(path):
        raise CaffeError(f"{path} exists and is not a directory: it will not be replaced; choose another name")
    if not os.listdir(path):
        return
    record = _record(path)
    if record is None or record.get("by") != by:
        raise CaffeError(
            f"{path} exists and `{by}` did not create it: it will not be replaced; choose another name or remove it"
        )
    foreign = sorted(
        name for name in files_below(path) if name != RECORD and not _is_recorded(path, name, record["files"])
    )
    if foreign:
        raise CaffeError(
            f"{path} contains {len(foreign)} files that `{by}` did not create or that have changed since, such as "
            f"{foreign[0]}: it will not be replaced; move them or choose another name"
        )


def record_files(path: str | os.PathLike[str], by: str) -> None:
    """Record that the command `by` created all files that are now in the folder `path`."""
    with open(os.path.join(path, RECORD), "w", encoding="utf-8") as stream:
        files = {name: _state(os.path.join(path, name)) for name in files_below(path)}
        json.dump({"by": by, "files": files}, stream, indent=0, sort_keys=True, ensure_ascii=True)


def _is_recorded(path: str | os.PathLike[str], name: str, files: dict) -> bool:
    """Return whether the file `name` below `path` is as recorded; older records contain sizes only."""
    recorded, file = files.get(name), os.path.join(path, name)
    if isinstance(recorded, list):
        return recorded[:1] == [os.lstat(file).st_size] and recorded == _state(file)
    return recorded == os.lstat(file).st_size


def _state(file: str) -> list:
    """Return the size and the SHA-256 of a file; of a link, those of its text; of a pipe or a device, no hash."""
    status = os.lstat(file)
    if stat.S_ISLNK(status.st_mode):
        return [status.st_size, hashlib.sha256(os.fsencode(os.readlink(file))).hexdigest()]
    return [status.st_size, sha256_or_none(file) if stat.S_ISREG(status.st_mode) else None]


def files_below(path: str | os.PathLike[str]) -> list[str]:
    """Return the relative paths of all files and links below `path`."""
    found = []
    for folder, folders, names in os.walk(os.fspath(path)):
        if os.path.basename(folder) == "__pycache__":
            continue  # written by Python when it imports modules from there
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        found += [os.path.relpath(os.path.join(folder, name), path) for name in names + links]
    return found


def sync_tree(path: str | os.PathLike[str]) -> None:
    """Flush `path` and every file and folder below it to the disk."""
    paths = [os.fspath(path)]
    for folder, folders, names in os.walk(os.fspath(path)):
        paths += [os.path.join(folder, name) for name in folders + names]
    if len(paths) > _MANY_FILES:
        _flush_file_system(path)  # makes the many single calls fast
    for name in reversed(paths):
        if not os.path.islink(name):
            _sync(name)


def exchange(new: str, path: str | os.PathLike[str]) -> str | None:
    """Move the folder `new` to `path`; return the new path of the old folder, or None if there was none."""
    if not os.path.exists(path):
        os.rename(new, path)
        return None
    if _try_exchange(new, path):
        return new
    old = new + ".old"
    os.rename(path, old)
    os.rename(new, path)
    return old


def _try_exchange(first: str, second: str | os.PathLike[str]) -> bool:
    """Exchange two paths in one step; return whether the system supports it."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    status = rename(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE)
    if status == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM):
        return False
    raise OSError(number, os.strerror(number), second)


def _flush_file_system(path: str | os.PathLike[str]) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        ctypes.CDLL(None).syncfs(handle)
    except (OSError, AttributeError, TypeError):
        pass  # optional: each file is flushed anyway
    finally:
        os.close(handle)


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _record(path: str | os.PathLike[str]) -> dict | None:
    """Return the record of a folder, or None if it has no valid one."""
    try:
        with open(os.path.join(path, RECORD), encoding="utf-8") as stream:
            record = json.load(stream)
    except (OSError, ValueError, RecursionError):
        return None
    valid = isinstance(record, dict) and isinstance(record.get("files"), dict)
    return record if valid else None
