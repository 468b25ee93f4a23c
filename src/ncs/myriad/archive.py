"""An archive of blobs of several nets, or of one net for several numbers of cores: an uncompressed ZIP.

The first member is `index.json`: {"format": "caffe2ncs blobs", "version": 1, "blobs": [{"name", "file", "size",
"sha256", "platform", "shaves", "cmx_slices"}]}; each blob follows under its `file`. The same blobs always give the same
bytes.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from caffe.errors import did_you_mean
from caffe.utils.atomic_io import atomic_write
from ncs.errors import NcsError
from ncs.myriad.blob import MAX_BLOB, Blob, parse_blob

FORMAT, VERSION, INDEX = "caffe2ncs blobs", 1, "index.json"


# What zipfile raises on damaged files; RuntimeError for an encrypted member.
DAMAGED = (
    *(OSError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, struct.error, RuntimeError),
    *(MemoryError, LookupError, TypeError, ValueError, ArithmeticError, AttributeError),
)
MAX_INDEX = 1 << 24  # bytes


@dataclass(frozen=True)
class Entry:
    """A blob of an archive; `size` in bytes, `sha256` in hex."""

    name: str
    file: str
    size: int
    sha256: str
    platform: str
    shaves: int
    cmx_slices: int


def is_archive(path: str | os.PathLike) -> bool:
    """Return whether a file starts with the ZIP signature."""
    with open(path, "rb") as stream:
        return stream.read(4) == b"PK\x03\x04"


def write_archive(path: str | os.PathLike, blobs: Sequence[tuple[str, str]]) -> list[Entry]:
    """Write blob files [(name, path)] into an archive, atomically. Raises NcsError for duplicate names."""
    contents = [(name, _read_bytes(source)) for name, source in blobs]
    entries = [_entry(name, content) for name, content in contents]
    if len({entry.file for entry in entries}) != len(entries):
        raise NcsError(f"{path}: expected unique blob names, received {', '.join(name for name, _ in blobs)}")
    index = {"format": FORMAT, "version": VERSION, "blobs": [asdict(entry) for entry in entries]}
    with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, INDEX, json.dumps(index, indent=1).encode("utf-8"))
        for entry, (_, content) in zip(entries, contents):
            _add(archive, entry.file, content)
    return entries


def read_index(path: str | os.PathLike) -> list[Entry]:
    """Return the index of an archive. Raises NcsError if the file is not an archive of blobs."""
    with _open_zip(path) as archive:
        return _index(path, archive)


def extract(path: str | os.PathLike, name: str) -> bytes:
    """Return the bytes of the blob called `name`, after checking its hash."""
    with _open_zip(path) as archive:
        entries = {entry.name: entry for entry in _index(path, archive)}
        if name not in entries:
            raise NcsError(f"{path}: no blob '{name}'{did_you_mean(name, entries)}; it contains {', '.join(entries)}")
        return _content(path, archive, entries[name])


def read_blobs(path: str | os.PathLike) -> list[tuple[str, Blob]]:
    """Read all blobs of an archive as [(name, Blob)]."""
    with _open_zip(path) as archive:
        return [(entry.name, parse_blob(_content(path, archive, entry))) for entry in _index(path, archive)]


def _read_bytes(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def _entry(name: str, content: bytes) -> Entry:
    blob = parse_blob(content)
    safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in name)
    digest = hashlib.sha256(content).hexdigest()
    return Entry(name, f"blobs/{safe}.blob", len(content), digest, blob.platform, blob.shaves, blob.cmx_slices)


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.external_attr = 0o644 << 16
    archive.writestr(info, content)


def _open_zip(path: str | os.PathLike) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except DAMAGED as error:
        raise NcsError(f"{os.fspath(path)}: not an archive of blobs: {error}") from error


def _read_member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Read a member of at most `limit` bytes, whatever size its header states."""
    with archive.open(name) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"{name} is larger than {limit} bytes")
    return content


def _index(path: str | os.PathLike, archive: zipfile.ZipFile) -> list[Entry]:
    try:
        index = json.loads(_read_member(archive, INDEX, MAX_INDEX))
        if index["format"] != FORMAT or index["version"] != VERSION:
            raise ValueError("format {!r}, version {!r}".format(index["format"], index["version"]))
        return [Entry(**row) for row in index["blobs"]]
    except DAMAGED as error:
        reason = str(error) or type(error).__name__
        raise NcsError(f"{os.fspath(path)}: a ZIP, but not an archive of blobs: {reason}") from error


def _content(path: str | os.PathLike, archive: zipfile.ZipFile, entry: Entry) -> bytes:
    try:
        content = _read_member(archive, entry.file, MAX_BLOB)
    except DAMAGED as error:
        reason = str(error) or type(error).__name__
        raise NcsError(f"{os.fspath(path)}: blob '{entry.name}' is missing or damaged: {reason}") from error
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise NcsError(f"{os.fspath(path)}: blob '{entry.name}' is damaged: its SHA-256 does not match the index")
    return content
