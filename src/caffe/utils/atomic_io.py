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

from caffe.errors import CaffeError
from caffe.utils import folders


def sync(path):
    """Have the file or folder `path` reach the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _target(path):
    """What `path` names: of a link, what it leads to, so that it stays a link."""
    path = os.fspath(path).rstrip("/") or "/"
    return os.path.realpath(path) if os.path.islink(path) else path


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
    path = _target(path)
    if os.path.isdir(path):
        raise CaffeError(f"{path} is a directory; a file is to be written there: give another name")
    if os.path.exists(path) and not os.path.isfile(path):  # a device or a pipe, which nothing must replace
        with _copied_to(path, suffix) as temporary:
            yield temporary
        return
    folder = _parent(path)
    _sweep(path)
    handle, temporary = tempfile.mkstemp(prefix=_prefix(path), suffix=suffix, dir=folder)
    os.close(handle)
    try:
        with _full_disk_names(path, temporary):
            yield temporary
            os.chmod(temporary, 0o666 & ~_umask())
            sync(temporary)
            os.replace(temporary, path)
            sync(folder)
    finally:
        _remove(temporary)


@contextlib.contextmanager
def _copied_to(path, suffix):
    with tempfile.TemporaryDirectory() as folder:
        temporary = os.path.join(folder, "file" + suffix)
        open(temporary, "wb").close()
        yield temporary
        with open(temporary, "rb") as source, open(path, "wb") as target:
            shutil.copyfileobj(source, target)


@contextlib.contextmanager
def atomic_folder(path, by=None, refuse=None):
    """Yield a temporary folder beside `path`; on success it takes the place of `path`, else it is removed.

    Only a folder that an earlier run of the command `by` made is replaced: it holds a record of its files (caffe.utils.folders).
    For folders of a known form `refuse(path)` looks instead, and raises a CaffeError.
    """
    path = _target(path)
    folder = _parent(path)
    _sweep(path)
    refuse = refuse or (lambda path: folders.refuse_foreign(path, by))
    refuse(path)
    temporary = tempfile.mkdtemp(prefix=_prefix(path), dir=folder)
    try:
        with _full_disk_names(path, temporary):
            yield temporary
            if by is not None:
                folders.record_files(temporary, by)
            os.chmod(temporary, 0o777 & ~_umask())
            folders.sync_tree(temporary)
        refuse(path)  # it may have been made meanwhile
        old = folders.exchange(temporary, path)
        sync(folder)
        if old is not None:
            _remove(old)
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
    """Remove what killed runs on this machine left of `path`; a folder moved aside comes back where `path` is missing."""
    folder, name = os.path.split(os.path.abspath(path))
    left = re.compile(rf"\.{re.escape(name)}\.{re.escape(_host())}-(\d+)\.\w{{8}}(\.\w+)?")
    for found in os.listdir(folder):
        match = left.fullmatch(found)
        if match and not _alive(int(match.group(1))):
            _recover(os.path.join(folder, found), path)


def _recover(left, path):
    if left.endswith(".old") and os.path.isdir(left) and not os.path.lexists(path):
        os.rename(left, path)
    else:
        _remove(left)


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
