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
from collections.abc import Callable, Iterator

from caffe.errors import CaffeError
from caffe.utils import folders


def sync(path):
    """Flush the file or folder `path` to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _target(path: str | os.PathLike) -> str:
    """Return `path`, or the target of a link, so that the link is kept."""
    path = os.fspath(path).rstrip("/") or "/"
    return os.path.realpath(path) if os.path.islink(path) else path


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
    path = _target(path)
    if os.path.isdir(path):
        raise CaffeError(f"{path} is a directory; expected the name of a file: choose another name")
    if os.path.exists(path) and not os.path.isfile(path):  # a device or a pipe, which must not be replaced
        with _copied_to(path, suffix) as temporary:
            yield temporary
        return
    folder = _parent(path)
    sweep(path)
    handle, temporary = tempfile.mkstemp(prefix=prefix(path), suffix=suffix, dir=folder)
    os.close(handle)
    try:
        with _report_target_on_full_disk(path, temporary):
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
def atomic_folder(
    path: str | os.PathLike, by: str | None = None, refuse: Callable[[str], object] | None = None
) -> Iterator[str]:
    """Yield a temporary folder to fill; on success it replaces `path`, else it is removed.

    Parameters
    ----------
    path : str or path
        Target folder. Missing parent folders are created.
    by : str, optional
        Command that creates the folder. Only a folder that the same command created is replaced; it contains a list of
        its files (caffe.utils.folders).
    refuse : callable, optional
        Called with the path; raises CaffeError if the existing folder must not be replaced. It replaces the check of
        `by`, for folders whose form is known.
    """
    path = str(_target(path))
    folder = _parent(path)
    sweep(path)
    refuse = refuse or (lambda path: folders.refuse_foreign(path, by))
    refuse(path)
    temporary = tempfile.mkdtemp(prefix=prefix(path), dir=folder)
    try:
        with _report_target_on_full_disk(path, temporary):
            yield temporary
            if by is not None:
                folders.record_files(temporary, by)
            os.chmod(temporary, 0o777 & ~_umask())
            folders.sync_tree(temporary)
        refuse(path)  # another program may have created it since
        old = folders.exchange(temporary, path)
        sync(folder)
        if old is not None:
            _remove(old)
    finally:
        _remove(temporary)


def write_bytes(path: str | os.PathLike, data: bytes | str) -> None:
    """Write `data` to `path` atomically; str is encoded as UTF-8."""
    with atomic_write(path) as temporary, open(temporary, "wb") as stream:
        stream.write(data.encode("utf-8") if isinstance(data, str) else data)


def _host():
    return re.sub(r"[^0-9A-Za-z]", "_", platform.node())


def prefix(path: str | os.PathLike) -> str:
    """Return the beginning of the names of temporary files for `path`."""
    return f".{os.path.basename(path)}.{_host()}-{os.getpid()}."


def sweep(path: str | os.PathLike) -> None:
    """Remove what killed processes on this machine left of `path`; restore a folder that was moved aside."""
    folder, name = os.path.split(os.path.abspath(path))
    pattern = re.compile(rf"\.{re.escape(name)}\.{re.escape(_host())}-(\d+)\.\w{{8}}(\.\w+)?")
    for entry in os.listdir(folder):
        match = pattern.fullmatch(entry)
        if match and not _alive(int(match.group(1))):
            _recover(os.path.join(folder, entry), path)


def _recover(left, path):
    if left.endswith(".old") and os.path.isdir(left) and not os.path.lexists(path):
        os.rename(left, path)
    else:
        _remove(left)


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
