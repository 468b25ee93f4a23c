"""Extract selected files from an untrusted tar or zip archive.

An archive with an absolute path, `..`, a link or a device is rejected as a whole, even if that member is not selected.
Sizes are counted while extracting, so that a small archive cannot fill the disk.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import posixpath
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

from caffe.errors import CaffeError

MAX_BYTES = 4 << 30
MAX_MEMBERS = 200_000
_BLOCK_BYTES = 1 << 20
_MAX_READ_BYTES = 1 << 24  # tarfile reads a header of any declared length at once; no valid header is this long
_OPENERS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))
# Exceptions of Python's readers for corrupt archives; RuntimeError includes RecursionError and NotImplementedError.
_CORRUPT = (
    *(tarfile.TarError, zipfile.BadZipFile, EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, struct.error),
    *(LookupError, ValueError, ArithmeticError, AttributeError, TypeError, RuntimeError, MemoryError),
)


def unpack(
    path: str,
    folder: str,
    select: Callable[[str], bool],
    max_bytes: int = MAX_BYTES,
    max_members: int = MAX_MEMBERS,
) -> list[str]:
    """Extract the members whose file name satisfies `select` into `folder`, without subfolders.

    Parameters
    ----------
    path : str
        The tar or zip archive.
    folder : str
        Existing folder for the files. If a file name occurs twice, the contents must be equal.
    select : callable
        Takes a file name, returns whether to extract the member.
    max_bytes : int
        Limit of the total uncompressed size.
    max_members : int
        Limit of the number of members.

    Returns
    -------
    list of str
        File names of all members in order, selected or not.

    Raises
    ------
    CaffeError
        If the archive is malicious, corrupt, too large or has two different files with the same name.
    """
    budget = _Budget(path, max_bytes, max_members)
    names = []
    try:
        for name, member_type, size, chunks in _members(path):
            _check(path, name, member_type)
            budget.member(size)
            base = posixpath.basename(name)
            if member_type == "file" and base:
                names.append(base)
                if select(base):
                    _write(os.path.join(folder, base), budget.counted(chunks()), path, name)
    except CaffeError:
        raise
    except RecursionError:
        raise CaffeError(f"{path}: corrupt or not an archive: endless chain of headers") from None
    except NotImplementedError as error:  # for example Deflate64, which Windows uses for large files
        raise CaffeError(f"{path}: {error}: extract it with another program and pack it again") from None
    except _CORRUPT as error:
        raise CaffeError(f"{path}: corrupt or not an archive: {error}") from None
    except OSError as error:  # bz2 and gzip raise it for corrupt streams; also raised for a full disk
        raise CaffeError(f"{path}: {error}") from None
    return names


class _Budget:
    def __init__(self, path, max_bytes, max_members):
        self.path, self.bytes, self.members = path, max_bytes, max_members
        self.max_bytes, self.max_members = max_bytes, max_members

    def member(self, size):
        """Count one member; its declared size must fit the budget."""
        self.members -= 1
        if self.members < 0:
            raise CaffeError(f"{self.path}: more than {self.max_members} members; the archive is not extracted")
        if size > self.bytes:
            self._too_large()

    def counted(self, chunks):
        """Yield the chunks and count their real size, since declared sizes may be wrong."""
        for chunk in chunks:
            self.bytes -= len(chunk)
            if self.bytes < 0:
                self._too_large()
            yield chunk

    def _too_large(self):
        raise CaffeError(f"{self.path}: more than {self.max_bytes} bytes uncompressed; the archive is not extracted")


def _check(path, name, member_type):
    parts = name.replace("\\", "/").split("/")
    problem = None
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        problem = "has an absolute path"
    elif ".." in parts or "\0" in name:
        problem = "is outside the target folder"
    elif not name.isprintable():  # includes bytes that are not UTF-8, which surrogateescape decoded
        problem = "has a name that is not printable UTF-8"
    elif member_type not in ("file", "folder"):
        problem = f"is a {member_type}"
    if problem:
        raise CaffeError(f"{path}: member {name!r} {problem}; the archive is not extracted")


def _write(target, chunks, path, name):
    if os.path.exists(target):
        with open(target, "rb") as stream:
            if stream.read() != b"".join(chunks):
                raise CaffeError(f"{path}: member {name!r}: the file name occurs twice with different contents")
        return
    with open(target, "wb") as stream:
        for chunk in chunks:
            stream.write(chunk)


def _members(path):
    """Return an iterator of (name, type, declared size, function that yields chunks of bytes)."""
    if not os.path.isfile(path):
        raise CaffeError(f"{path}: no such file")
    return _zip_members(path) if zipfile.is_zipfile(path) else _tar_members(path)


def _zip_members(path):
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            member_type = "folder" if info.is_dir() else "file"
            if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                member_type = "link" if stat.S_ISLNK(mode) else "device"
            if info.flag_bits & 1:
                raise CaffeError(f"{path}: member {info.filename!r} is encrypted")
            yield info.filename, member_type, info.file_size, lambda info=info: _chunks(archive.open(info))


def _tar_members(path):
    with open(path, "rb") as raw:
        magic = raw.read(6)
        raw.seek(0)
        opener = next((opener for start, opener in _OPENERS if magic.startswith(start)), None)
        stream = opener(raw) if opener else raw
        with tarfile.open(fileobj=_Guard(stream, path), mode="r:") as archive:  # type: ignore[call-overload]
            for info in archive:
                yield info.name, _tar_member_type(info), info.size, lambda info=info: _chunks(archive.extractfile(info))
        if opener:
            _read_to_end(stream, path)


def _read_to_end(stream, path):
    """Read what follows the last member: the checksum of a compressed stream stands at its end."""
    remaining = _MAX_READ_BYTES
    for block in iter(lambda: stream.read(_BLOCK_BYTES), b""):
        remaining -= len(block)
        if remaining < 0:
            raise CaffeError(f"{path}: more than {_MAX_READ_BYTES} bytes after the last member")


def _tar_member_type(info):
    if info.isdir():
        return "folder"
    if info.issym() or info.islnk():
        return "link"
    return "file" if info.isreg() and not info.issparse() else "device"


def _chunks(stream):
    with stream:
        yield from iter(lambda: stream.read(_BLOCK_BYTES), b"")


class _Guard:
    """A stream that limits the size of a single read."""

    def __init__(self, stream, path):
        self.stream, self.path = stream, path
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size=-1):
        """Read from the stream; raise CaffeError if `size` is too large."""
        if size > _MAX_READ_BYTES:
            raise CaffeError(f"{self.path}: a header of {size} bytes; the archive is not extracted")
        return self.stream.read(size)
