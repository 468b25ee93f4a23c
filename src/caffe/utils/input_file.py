"""Read an input file of limited size; endless devices and invalid names are clear errors."""

from __future__ import annotations

import os

from caffe.errors import CaffeError

MAX_TEXT_BYTES = 512 << 20  # of a list
MAX_BLOB_BYTES = 256 << 20  # of a mean image or a matrix


def read_bytes(path, max_bytes=MAX_BLOB_BYTES):
    """Return the bytes of `path`; raises CaffeError, whose message starts with the path, for more than `max_bytes`."""
    name = os.fspath(path)
    try:
        with open(path, "rb") as stream:
            data = stream.read(max_bytes + 1)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise CaffeError("{}: {}".format(shown(name), getattr(error, "strerror", None) or error)) from None
    if len(data) > max_bytes:
        raise CaffeError(f"{shown(name)}: the file is larger than the limit of {max_bytes} bytes")
    return data


def read_text(path, errors="strict", max_bytes=MAX_TEXT_BYTES):
    """Return the text of a UTF-8 file; `errors` is that of `bytes.decode`."""
    try:
        return read_bytes(path, max_bytes).decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise CaffeError(f"{shown(path)}: byte {error.start} is not UTF-8; save the file as UTF-8") from None


def shown(path):
    """Return a file name as printable text: bytes that are not UTF-8 and control characters become \\xNN."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return text if text.isprintable() else "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
