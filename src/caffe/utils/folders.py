"""Directories that are replaced as a whole: only what an earlier run of the same command made, and never half.

The new directory is exchanged with the old one in one step (renameat2 of Linux). Where the file system cannot do that, the
old one is moved aside under a name ending in `.old`, from which the next run puts it back if the process was killed then.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os

from caffe.errors import CaffeError

RECORD = ".made.json"  # which command made the directory, and each file with its size
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_MANY = 64  # files, from which on the file system is flushed first


def refuse_foreign(path, by):
    """Raise CaffeError unless `path` is absent, an empty directory, or wholly made by the command `by`."""
    if not os.path.lexists(path):
        return
    if not os.path.isdir(path):
        raise CaffeError(f"{path} exists and is not a directory: it will not be replaced; give another name")
    found = files_below(path)
    if not found and not os.listdir(path):
        return
    record = _record(path)
    if record is None or record.get("by") != by:
        raise CaffeError(
            f"{path} exists and `{by}` did not make it: it will not be replaced; give another name, or remove it"
        )
    made = record["files"]
    foreign = sorted(name for name, size in found.items() if name != RECORD and made.get(name) != size)
    if foreign:
        raise CaffeError(
            f"{path} holds {len(foreign)} files that `{by}` did not make, or that changed since, such as {foreign[0]}: "
            "it will not be replaced; move them away, or give another name"
        )


def record_files(path, by):
    """Write into the directory `path` that the command `by` made the files that it holds now."""
    with open(os.path.join(path, RECORD), "w", encoding="utf-8") as stream:
        json.dump({"by": by, "files": files_below(path)}, stream, indent=0, sort_keys=True, ensure_ascii=True)


def files_below(path):
    """{path relative to the directory `path`: size} of all files below; of a link, the length of the link."""
    found = {}
    for folder, folders, names in os.walk(path):
        if os.path.basename(folder) == "__pycache__":
            continue  # Python's, of modules that were run there
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in names + links:
            file = os.path.join(folder, name)
            found[os.path.relpath(file, path)] = os.lstat(file).st_size
    return found


def sync_tree(path):
    """Have every file and directory below `path` reach the disk, `path` included."""
    places = [path]
    for folder, folders, names in os.walk(path):
        places += [os.path.join(folder, name) for name in folders + names]
    if len(places) > _MANY:
        _flush_file_system(path)  # then there is little left for each file to wait for
    for place in reversed(places):
        if not os.path.islink(place):
            _sync(place)


def exchange(new, path):
    """Let the directory `new` take the place of `path`; returns where the old one is now (None: there was none)."""
    if not os.path.exists(path):
        os.rename(new, path)
        return None
    if _exchanged(new, path):
        return new
    old = new + ".old"
    os.rename(path, old)
    os.rename(new, path)
    return old


def _exchanged(one, other):
    """Whether the system has given each of two paths what the other named, in one step."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    done = rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    if done == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM):
        return False
    raise OSError(number, os.strerror(number), other)


def _flush_file_system(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        ctypes.CDLL(None).syncfs(handle)
    except (OSError, AttributeError, TypeError):
        pass  # each file is synced by itself all the same
    finally:
        os.close(handle)


def _sync(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _record(path):
    """What the directory's record says, or None where it has none that can be read."""
    try:
        with open(os.path.join(path, RECORD), encoding="utf-8") as stream:
            record = json.load(stream)
    except (OSError, ValueError, RecursionError):
        return None
    good = isinstance(record, dict) and isinstance(record.get("files"), dict)
    return record if good else None
