"""Write files and folders atomically.

The data goes to a temporary file `.NAME.HOST-PID.xxxxxxxx` in the target's folder, which is renamed on success. The
next write of the same file on that machine removes temporary files left by killed processes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator


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
def _report_target_on_full_disk(path, temporary):
    """Put `path` into full-disk errors, which otherwise name no file or the temporary one."""
    try:
        yield
    except OSError as error:
        filename = error.filename2 or error.filename  # for a copy, filename2 is the file that was being written
        is_target = filename is None or os.fspath(filename).startswith(temporary)
        if is_target and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            error.filename, error.filename2, error.strerror = path, None, os.strerror(error.errno)
        raise


def _remove(path):
    if os.path.isdir(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike, suffix: str = "") -> Iterator[str]:
    """Yield a temporary path to write to; on success flush it and rename it to `path`, else remove it.

    Parameters
    ----------
    path : str or path
        Target file. Missing parent folders are created.
    suffix : str
        File extension of the temporary path, for libraries that derive the format from it.
    """
    path = os.fspath(path)
    folder = _parent(path)
    _sweep(path)
    handle, temporary = tempfile.mkstemp(prefix=_prefix(path), suffix=suffix, dir=folder)
    os.close(handle)
    try:
        with _report_target_on_full_disk(path, temporary):
            yield temporary
            os.chmod(temporary, 0o666 & ~_umask())
            _sync(temporary)
            os.replace(temporary, path)
            _sync(folder)
    finally:
        _remove(temporary)


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike) -> Iterator[str]:
    """Yield a temporary folder to fill; on success rename it to `path` (replacing a folder), else remove it."""
    path = os.fspath(path).rstrip("/")
    folder = _parent(path)
    _sweep(path)
    temporary = tempfile.mkdtemp(prefix=_prefix(path), dir=folder)
    try:
        with _report_target_on_full_disk(path, temporary):
            yield temporary
        os.chmod(temporary, 0o777 & ~_umask())
        replaced = None
        if os.path.exists(path):
            replaced = tempfile.mkdtemp(prefix=_prefix(path), dir=folder)
            os.replace(path, os.path.join(replaced, "old"))
        os.replace(temporary, path)
        _sync(folder)
        if replaced is not None:
            shutil.rmtree(replaced)
    finally:
        _remove(temporary)


def write_bytes(path: str | os.PathLike, data: bytes | str) -> None:
    """Write `data` to `path` atomically; str is encoded as UTF-8."""
    with atomic_write(path) as temporary, open(temporary, "wb") as stream:
        stream.write(data.encode("utf-8") if isinstance(data, str) else data)


def _host():
    return re.sub(r"[^0-9A-Za-z]", "_", platform.node())


def _prefix(path):
    return f".{os.path.basename(path)}.{_host()}-{os.getpid()}."


def _sweep(path):
    """Remove temporary files of `path` left by killed processes on this machine."""
    folder, name = os.path.split(os.path.abspath(path))
    pattern = re.compile(rf"\.{re.escape(name)}\.{re.escape(_host())}-(\d+)\.\w{{8}}(\.\w+)?")
    for entry in os.listdir(folder):
        match = pattern.fullmatch(entry)
        if match and not _alive(int(match.group(1))):
            _remove(os.path.join(folder, entry))


def _alive(pid):
    if os.name != "posix":  # on Windows os.kill(pid, 0) sends Ctrl-C
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
