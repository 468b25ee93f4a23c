"""Superblobs of depthai 3: one file with the blobs of a net for 1 to 16 SHAVE cores.

Seventeen sizes (8 bytes, big endian): of the blob for 8 cores and of the patches for 1 to 16 cores, 0 where there is
none; then that blob and the patches (`ncs.myriad.binary_patch`).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping

from caffe.utils.atomic_io import write_bytes
from ncs.errors import NcsError
from ncs.myriad import binary_patch

COUNTS = range(1, 17)
BASE = 8  # SHAVE cores of the blob that the patches apply to
_HEADER = struct.Struct(">17Q")


def write_superblob(path: str | os.PathLike, blobs: Mapping[int, bytes]) -> None:
    """Write {SHAVE cores: blob} as a superblob, atomically. Raises NcsError unless there is one for each of 1 to 16."""
    missing = [count for count in COUNTS if count not in blobs]
    if missing:
        raise NcsError(f"{os.fspath(path)}: expected blobs for 1 to 16 SHAVE cores, {missing} are missing")
    differ = binary_patch.Differ(blobs[BASE])
    patches = [b"" if count == BASE else differ.patch(blobs[count]) for count in COUNTS]
    header = _HEADER.pack(len(blobs[BASE]), *map(len, patches))
    write_bytes(path, header + blobs[BASE] + b"".join(patches))


def read_superblob(path: str | os.PathLike, shaves: int) -> bytes:
    """Return the blob for `shaves` cores. Raises NcsError if the file is not a superblob or lacks that blob."""
    name = os.fspath(path)
    try:
        with open(path, "rb") as stream:
            content = stream.read()
    except OSError as error:
        raise NcsError(f"{name}: {error.strerror or error}") from error
    if shaves not in COUNTS:
        raise NcsError(f"{name}: expected 1 to 16 SHAVE cores, received {shaves}")
    if len(content) < _HEADER.size:
        raise NcsError(f"{name}: not a superblob: it has {len(content)} bytes")
    size, *patches = _HEADER.unpack_from(content)
    if _HEADER.size + size + sum(patches) != len(content):
        raise NcsError(f"{name}: not a superblob, or truncated: its sizes do not add up to {len(content)} bytes")
    base = content[_HEADER.size : _HEADER.size + size]
    if shaves == BASE:
        return base
    at = _HEADER.size + size + sum(patches[: shaves - 1])
    try:
        return binary_patch.apply(base, content[at : at + patches[shaves - 1]])
    except NcsError as error:
        raise NcsError(f"{name}: blob for {shaves} SHAVE cores: {error}") from None
