"""Files and folders that appear whole or not at all.

What is being made lies beside its goal as `.GOAL.HOST-PID.xxxxxxxx`, so that the leavings of a killed run
are known as such: the next run on that machine sweeps them away.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import re
import shutil
import tempfile


def _sync(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _parent(path):
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    return folder


@contextlib.contextmanager
def _full_disk_names(path, temporary):
    """Where the disk is full the system names no file, or a temporary one: say which file found no room."""
    try:
        yield
    except OSError as error:
        named = error.filename2 or error.filename  # of a copy, the second is what could not be written
        own = named is None or os.fspath(named).startswith(temporary)
        if own and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            error.filename, error.filename2, error.strerror = path, None, os.strerror(error.errno)
        raise


def _remove(path):
    if os.path.isdir(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


@contextlib.contextmanager
def atomic_write(path, suffix=""):
    """Yield a temporary path beside `path`; on success it is flushed and renamed to `path`, else removed.

    The caller writes the temporary path in any way it likes (another library included, which may ask for a `suffix`).
    """
    path = os.fspath(path)
    folder = _parent(path)
    _sweep(path)
    handle, temporary = tempfile.mkstemp(prefix=_prefix(path), suffix=suffix, dir=folder)
    os.close(handle)
    try:
        with _full_disk_names(path, temporary):
            yield temporary
            os.chmod(temporary, 0o666 & ~_umask())
            _sync(temporary)
            os.replace(temporary, path)
            _sync(folder)
    finally:
        _remove(temporary)


@contextlib.contextmanager
def atomic_folder(path):
    """Yield a temporary folder beside `path`; on success it takes the place of `path`, else it is removed."""
    path = os.fspath(path).rstrip("/")
    folder = _parent(path)
    _sweep(path)
    temporary = tempfile.mkdtemp(prefix=_prefix(path), dir=folder)
    try:
        with _full_disk_names(path, temporary):
            yield temporary
        os.chmod(temporary, 0o777 & ~_umask())
        old = None
        if os.path.exists(path):
            old = tempfile.mkdtemp(prefix=_prefix(path), dir=folder)
            os.replace(path, os.path.join(old, "old"))
        os.replace(temporary, path)
        _sync(folder)
        if old is not None:
            shutil.rmtree(old)
    finally:
        _remove(temporary)


def write_bytes(path, data):
    """Write `data` (bytes or str) to `path`, whole or not at all."""
    with atomic_write(path) as temporary, open(temporary, "wb") as stream:
        stream.write(data.encode("utf-8") if isinstance(data, str) else data)


def _host():
    return re.sub(r"[^0-9A-Za-z]", "_", platform.node())


def _prefix(path):
    return ".%s.%s-%d." % (os.path.basename(path), _host(), os.getpid())


def _sweep(path):
    """Remove what killed runs on this machine left of `path`."""
    folder, name = os.path.split(os.path.abspath(path))
    left = re.compile(rf"\.{re.escape(name)}\.{re.escape(_host())}-(\d+)\.\w{{8}}(\.\w+)?")
    for found in os.listdir(folder):
        match = left.fullmatch(found)
        if match and not _alive(int(match.group(1))):
            _remove(os.path.join(folder, found))


def _alive(pid):
    if os.name != "posix":  # os.kill(pid, 0) is a Ctrl-C there
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
