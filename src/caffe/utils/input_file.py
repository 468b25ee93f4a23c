"""Read input files with a size limit; endless devices and invalid names raise clear errors."""

from __future__ import annotations

import os
from typing import BinaryIO

from caffe.errors import CaffeError

MAX_TEXT_BYTES = 512 << 20  # of a list
MAX_BLOB_BYTES = 256 << 20  # of a mean image or a matrix
_BLOCK_BYTES = 1 << 16


def read_bytes(path: str | os.PathLike, max_bytes: int = MAX_BLOB_BYTES) -> bytes:
    """Return the bytes of `path`; raises CaffeError if it cannot be read or is larger than `max_bytes`."""
    name = os.fspath(path)
    try:
        with open(path, "rb") as stream:
            data = read_at_most(stream, max_bytes + 1)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise CaffeError(f"{shown(name)}: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > max_bytes:
        raise CaffeError(f"{shown(name)}: the file is larger than the limit of {max_bytes} bytes")
    return data


def read_at_most(stream: BinaryIO, count: int) -> bytes:
    """Return up to `count` bytes of `stream`; unlike `stream.read(count)`, it allocates no more than there are."""
    blocks = [stream.read(min(count, _size(stream) + 1))]
    remaining = count - len(blocks[0])
    while blocks[-1] and remaining > 0:
        blocks.append(stream.read(min(remaining, _BLOCK_BYTES)))
        remaining -= len(blocks[-1])
    return b"".join(filter(None, blocks))  # a single block is not copied


def _size(stream):
    """Return the size that the system gives for the file, which is 0 for pipes and devices."""
    try:
        return os.fstat(stream.fileno()).st_size
    except (AttributeError, OSError, ValueError):  # not a file of the system
        return _BLOCK_BYTES


def read_text(path: str | os.PathLike, errors: str = "strict", max_bytes: int = MAX_TEXT_BYTES) -> str:
    """Return the text of a UTF-8 file; `errors` as for `bytes.decode`."""
    try:
        return read_bytes(path, max_bytes).decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise CaffeError(f"{shown(path)}: byte {error.start} is not UTF-8; save the file as UTF-8") from None


def shown(path: str | bytes | os.PathLike) -> str:
    """Return a file name as printable text: control characters and bytes that are not UTF-8 become \\xNN."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
