"""One file with the blobs of many nets, or of one net for many numbers of cores: an uncompressed ZIP.

`index.json` comes first: {"format": "caffe2ncs blobs", "version": 1, "blobs": [{"name", "file", "size",
"sha256", "platform", "shaves", "cmx_slices"}]}; then each blob under its `file`. Any ZIP program opens it,
and the same blobs give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from caffe.errors import did_you_mean
from caffe.utils.atomic_io import atomic_write
from ncs.errors import NcsError
from ncs.myriad.blob import Blob, parse_blob

FORMAT, VERSION, INDEX = "caffe2ncs blobs", 1, "index.json"


# What Python's reader of ZIP files raises on damaged ones; RuntimeError for a member that is encrypted.
DAMAGED = (
    *(OSError, zipfile.BadZipFile, EOFError, zlib.error, struct.error, RuntimeError, MemoryError),
    *(LookupError, TypeError, ValueError, ArithmeticError, AttributeError),
)
MOST_INDEX, MOST_BLOB = 1 << 24, 1 << 30  # bytes


@dataclass(frozen=True)
class Entry:
    """One blob of an archive; `size` in bytes, `sha256` in hex."""

    name: str
    file: str
    size: int
    sha256: str
    platform: str
    shaves: int
    cmx_slices: int


def is_archive(path: str | os.PathLike) -> bool:
    """Whether a file begins as a ZIP does."""
    with open(path, "rb") as stream:
        return stream.read(4) == b"PK\x03\x04"


def write_archive(path: str | os.PathLike, blobs: Sequence[tuple[str, str]]) -> list[Entry]:
    """Put blob files [(name, path)] into one file, whole or not at all."""
    contents = [(name, _bytes_of(source)) for name, source in blobs]
    entries = [_entry(name, content) for name, content in contents]
    if len({entry.file for entry in entries}) != len(entries):
        raise NcsError(
            "{}: every blob needs a name of its own, received {}".format(path, ", ".join(name for name, _ in blobs))
        )
    index = {"format": FORMAT, "version": VERSION, "blobs": [asdict(entry) for entry in entries]}
    with atomic_write(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, INDEX, json.dumps(index, indent=1).encode("utf-8"))
        for entry, (_, content) in zip(entries, contents):
            _add(archive, entry.file, content)
    return entries


def read_index(path: str | os.PathLike) -> list[Entry]:
    """The blobs in a file that `write_archive` wrote. Raises NcsError for any other."""
    with _opened(path) as archive:
        return _index(path, archive)


def extract(path: str | os.PathLike, name: str) -> bytes:
    """The bytes of the blob called `name`, checked against its hash."""
    with _opened(path) as archive:
        entries = {entry.name: entry for entry in _index(path, archive)}
        if name not in entries:
            raise NcsError(
                "{}: no blob '{}'{}; there are {}".format(path, name, did_you_mean(name, entries), ", ".join(entries))
            )
        return _content(path, archive, entries[name])


def read_blobs(path: str | os.PathLike) -> list[tuple[str, Blob]]:
    """(name, Blob) of every blob in the file."""
    with _opened(path) as archive:
        return [(entry.name, parse_blob(_content(path, archive, entry))) for entry in _index(path, archive)]


def _bytes_of(path: str) -> bytes:
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


def _opened(path: str | os.PathLike) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except DAMAGED as error:
        raise NcsError(f"{os.fspath(path)}: not a file of blobs: {error}") from error


def _bounded(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A member of at most `most` bytes, however many its header says."""
    with archive.open(name) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{name} is larger than {most} bytes")
    return content


def _index(path: str | os.PathLike, archive: zipfile.ZipFile) -> list[Entry]:
    try:
        facts = json.loads(_bounded(archive, INDEX, MOST_INDEX))
        if facts["format"] != FORMAT or facts["version"] != VERSION:
            raise ValueError("format {!r}, version {!r}".format(facts["format"], facts["version"]))
        return [Entry(**row) for row in facts["blobs"]]
    except DAMAGED as error:
        raise NcsError(f"{os.fspath(path)}: a ZIP, but not of blobs: {str(error) or type(error).__name__}") from error


def _content(path: str | os.PathLike, archive: zipfile.ZipFile, entry: Entry) -> bytes:
    try:
        content = _bounded(archive, entry.file, MOST_BLOB)
    except DAMAGED as error:
        raise NcsError(
            f"{os.fspath(path)}: blob '{entry.name}' is missing or damaged: {str(error) or type(error).__name__}"
        ) from error
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise NcsError(f"{os.fspath(path)}: blob '{entry.name}' is damaged: its SHA-256 is not the index's")
    return content
