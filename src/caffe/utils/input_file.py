"""Reading a user's file whole, up to a bound: a device that never ends, or a name with a zero byte, is one clear error."""

from __future__ import annotations

import os

from caffe.errors import CaffeError

MOST_TEXT = 512 << 20  # bytes of a list
MOST_BLOB = 256 << 20  # bytes of a mean image or a matrix


def read_bytes(path, most=MOST_BLOB):
    """The bytes of `path`, at most `most` of them; CaffeError that begins with the path."""
    name = os.fspath(path)
    try:
        with open(path, "rb") as stream:
            data = stream.read(most + 1)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise CaffeError("{}: {}".format(shown(name), getattr(error, "strerror", None) or error)) from None
    if len(data) > most:
        raise CaffeError("%s: more than %d bytes; no such file is so long" % (shown(name), most))
    return data


def read_text(path, errors="strict", most=MOST_TEXT):
    """The text of `path`, which is UTF-8 (`errors`: what to do with other bytes, as in `bytes.decode`)."""
    try:
        return read_bytes(path, most).decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise CaffeError("%s: byte %d is not UTF-8; save the file as UTF-8" % (shown(path), error.start)) from None


def shown(path):
    """A file name as text that any terminal and any UTF-8 file takes: other bytes as \\xNN, control characters too."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return text if text.isprintable() else "".join(c if c.isprintable() else "\\x%02x" % ord(c) for c in text)
