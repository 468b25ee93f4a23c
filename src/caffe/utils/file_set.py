"""Replace files that belong together, such as a manifest and the files whose hashes it holds: all of them or none.

The new files go to a temporary folder next to their target. Renaming that folder to `.NAME.replacing` is the moment
from which they count; then each is moved to its place. If the process is killed in between, the next one that reads or
writes the set moves the rest (`complete`). Who moves files holds an flock on the folder: two at once would mix the sets
of two writers.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence

from caffe.errors import CaffeError
from caffe.utils import atomic_io, folders

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_OBSOLETE = "obsolete"  # folder of empty files, named as the old files that the new set does not have


@contextlib.contextmanager
def atomic_file_set(stem: str | os.PathLike, obsolete: Sequence[str] = ()) -> Iterator[str]:
    """Yield the stem of temporary files; on success they replace those of `stem` together, else they are removed.

    Parameters
    ----------
    stem : str or path
        Common beginning of the names, as in `graph/net` for graph/net.xml and graph/net.bin. A missing parent folder is
        created.
    obsolete : sequence of str
        Endings of old files that are deleted unless there is a new one, as in (".json",).

    Raises
    ------
    CaffeError, OSError
        Those of the caller's code, with the final paths instead of the temporary ones.
    """
    stem = os.fspath(stem)
    folder, name = os.path.split(os.path.abspath(stem))
    try:
        os.makedirs(folder, exist_ok=True)
    except FileExistsError:  # a file of that name
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder) from None
    complete(stem)
    atomic_io.sweep(os.path.join(folder, name))
    temporary = tempfile.mkdtemp(prefix=atomic_io.prefix(stem), dir=folder)
    staged = os.path.join(temporary, name)
    try:
        with _final_names(staged, stem):
            yield staged
            os.mkdir(os.path.join(temporary, _OBSOLETE))
            for ending in obsolete:
                if not os.path.lexists(staged + ending):
                    open(os.path.join(temporary, _OBSOLETE, name + ending), "wb").close()
            _refuse_directories(temporary, folder)
            folders.sync_tree(temporary)
            _publish(temporary, stem)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def complete(stem: str | os.PathLike) -> None:
    """Move the files of an interrupted replacement of `stem` to their places. Raises CaffeError if that fails."""
    pending = _pending(stem)
    if not os.path.isdir(pending):
        return
    with _locked(os.path.dirname(pending)):
        _complete(stem)


def _complete(stem: str | os.PathLike) -> None:
    pending = _pending(stem)
    try:
        if os.path.isdir(pending):
            _move(pending)
    except OSError as error:
        raise CaffeError(
            f"{os.fspath(stem)}: a killed process left {pending}, whose files cannot be moved to their places: "
            f"{error.strerror or error}; make its folder writable"
        ) from error


def _pending(stem: str | os.PathLike) -> str:
    folder, name = os.path.split(os.path.abspath(os.fspath(stem)))
    return os.path.join(folder, f".{name}.replacing")


def _publish(temporary: str, stem: str) -> None:
    folder = os.path.dirname(temporary)
    with _locked(folder):
        _complete(stem)
        os.rename(temporary, _pending(stem))
        atomic_io.sync(folder)
        _complete(stem)


@contextlib.contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Wait for the processes that move files in `folder`; without a lock on file systems that have none."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows, or a folder that may not be listed
        yield
        return
    try:
        _flock(descriptor, "LOCK_EX")
        yield
    finally:
        _flock(descriptor, "LOCK_UN")  # closing is not enough if another thread has forked
        os.close(descriptor)


def _flock(descriptor: int, operation: str) -> None:
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, getattr(fcntl, operation))


def _move(pending: str) -> None:
    """Move all files; without locks another process may do so too, and each ignores what the other one has moved."""
    folder = os.path.dirname(pending)
    obsolete = os.path.join(pending, _OBSOLETE)
    for name in _names(obsolete):
        for path in (os.path.join(folder, name), os.path.join(obsolete, name)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
    for name in sorted(_names(pending), key=lambda name: (name.endswith(".json"), name)):  # the manifest last
        if name != _OBSOLETE:
            with contextlib.suppress(FileNotFoundError):
                _replace(os.path.join(pending, name), os.path.join(folder, name))
    atomic_io.sync(folder)
    for path in (obsolete, pending):
        try:
            os.rmdir(path)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY):  # not empty: the next set of another process
                raise


def _replace(source: str, target: str) -> None:
    """Move a file; a link is kept and the file that it leads to is replaced, as atomic_write does."""
    if not os.path.islink(target):
        os.replace(source, target)
        return
    with atomic_io.atomic_write(target) as temporary:
        shutil.copyfile(source, temporary)
    os.unlink(source)


def _refuse_directories(temporary: str, folder: str) -> None:
    """Raise CaffeError if a directory is where a file must go, while the old set is untouched."""
    for name in _names(temporary):
        path = os.path.join(folder, name)
        if name != _OBSOLETE and os.path.isdir(path):
            raise CaffeError(f"{path} is a directory; expected the name of a file: choose another name")


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


@contextlib.contextmanager
def _final_names(staged: str, stem: str) -> Iterator[None]:
    """Name the final files instead of the temporary ones in errors."""
    try:
        yield
    except CaffeError as error:
        error.args = tuple(text.replace(staged, stem) if isinstance(text, str) else text for text in error.args)
        raise
    except OSError as error:
        if isinstance(error.filename, str):
            error.filename = error.filename.replace(staged, stem)
        raise
