"""Taking pictures out of a tar or zip archive of unknown origin, without trusting it.

A member with an absolute path or `..`, a link or a device condemns the whole archive, wanted or not; sizes
are counted as they come, so a small archive cannot fill the disk.
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

from agegender.errors import AgeGenderError

MOST_BYTES = 4 << 30
MOST_MEMBERS = 200_000
_BLOCK = 1 << 20
_LONGEST_READ = 1 << 24  # tarfile reads a header of any announced length in one go; no picture's header is so long
_OPENERS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))
# What Python's readers raise on damaged archives; RuntimeError is RecursionError and NotImplementedError, too.
_BROKEN = (
    *(tarfile.TarError, zipfile.BadZipFile, EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, struct.error),
    *(LookupError, ValueError, ArithmeticError, AttributeError, TypeError, RuntimeError, MemoryError),
)


def unpack(path, folder, wanted, most_bytes=MOST_BYTES, most_members=MOST_MEMBERS):
    """Write the members for whose file name `wanted(name)` is true into `folder`, all side by side.

    Returns the file names of all members, in order. The same name twice is taken once if the bytes agree.
    Raises AgeGenderError for an archive that is hostile, broken, too large or contradicts itself.
    """
    budget = _Budget(path, most_bytes, most_members)
    seen = []
    try:
        for name, kind, size, chunks in _members(path):
            _check(path, name, kind)
            budget.member(size)
            base = posixpath.basename(name)
            if kind == "file" and base:
                seen.append(base)
                if wanted(base):
                    _write(os.path.join(folder, base), budget.counted(chunks()), path, name)
    except AgeGenderError:
        raise
    except RecursionError:
        raise AgeGenderError(f"{path}: broken or no archive: headers that lead on to headers without end") from None
    except NotImplementedError as error:  # Windows packs large files by Deflate64
        raise AgeGenderError(f"{path}: {error}: unpack it by another program, and pack it again") from None
    except _BROKEN as error:
        raise AgeGenderError(f"{path}: broken or no archive: {error}") from None
    except OSError as error:  # bz2 and gzip tell a broken stream so; a full disk comes this way too
        raise AgeGenderError(f"{path}: {error}") from None
    return seen


class _Budget:
    def __init__(self, path, most_bytes, most_members):
        self.path, self.bytes, self.members = path, most_bytes, most_members
        self.most_bytes, self.most_members = most_bytes, most_members

    def member(self, size):
        """Count one member, whose announced size must fit."""
        self.members -= 1
        if self.members < 0:
            raise AgeGenderError("%s: more than %d members; it is not unpacked" % (self.path, self.most_members))
        if size > self.bytes:
            self._too_large()

    def counted(self, chunks):
        """The same chunks, counted: announced sizes may lie."""
        for chunk in chunks:
            self.bytes -= len(chunk)
            if self.bytes < 0:
                self._too_large()
            yield chunk

    def _too_large(self):
        raise AgeGenderError("%s: more than %d bytes unpacked; it is not unpacked" % (self.path, self.most_bytes))


def _check(path, name, kind):
    parts = name.replace("\\", "/").split("/")
    fault = None
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        fault = "has an absolute path"
    elif ".." in parts or "\0" in name:
        fault = "leads out of the folder"
    elif not name.isprintable():  # bytes that are not UTF-8, too: such a name cannot stand in a list, nor on a terminal
        fault = "has a name that is not printable UTF-8"
    elif kind not in ("file", "folder"):
        fault = f"is a {kind}"
    if fault:
        raise AgeGenderError(f"{path}: member {name!r} {fault}; such an archive is not unpacked")


def _write(target, chunks, path, name):
    if os.path.exists(target):
        with open(target, "rb") as stream:
            if stream.read() != b"".join(chunks):
                raise AgeGenderError(f"{path}: member {name!r}: its name occurs twice with different bytes")
        return
    with open(target, "wb") as stream:
        for chunk in chunks:
            stream.write(chunk)


def _members(path):
    """(name, kind, announced size, function giving chunks of bytes) of every member."""
    if not os.path.isfile(path):
        raise AgeGenderError(f"{path}: no such file")
    return _zip_members(path) if zipfile.is_zipfile(path) else _tar_members(path)


def _zip_members(path):
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            mode = info.external_attr >> 16
            kind = "folder" if info.is_dir() else "file"
            if mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                kind = "link" if stat.S_ISLNK(mode) else "device"
            if info.flag_bits & 1:
                raise AgeGenderError(f"{path}: member {info.filename!r} is encrypted")
            yield info.filename, kind, info.file_size, lambda info=info: _chunks(archive.open(info))


def _tar_members(path):
    with open(path, "rb") as raw:
        magic = raw.read(6)
        raw.seek(0)
        opener = next((opener for start, opener in _OPENERS if magic.startswith(start)), None)
        stream = opener(raw) if opener else raw
        with tarfile.open(fileobj=_Guard(stream, path), mode="r:") as archive:
            for info in archive:
                yield (
                    info.name,
                    _tar_kind(info),
                    info.size,
                    lambda info=info: _chunks(archive.extractfile(info)),
                )


def _tar_kind(info):
    if info.isdir():
        return "folder"
    if info.issym() or info.islnk():
        return "link"
    return "file" if info.isreg() and not info.issparse() else "device"


def _chunks(stream):
    with stream:
        yield from iter(lambda: stream.read(_BLOCK), b"")


class _Guard:
    """A stream which refuses to read absurdly much at once."""

    def __init__(self, stream, path):
        self.stream, self.path = stream, path
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size=-1):
        """Like the stream's own."""
        if size > _LONGEST_READ:
            raise AgeGenderError("%s: a header of %d bytes; such an archive is not unpacked" % (self.path, size))
        return self.stream.read(size)
