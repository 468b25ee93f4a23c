"""Hashes of files."""

from __future__ import annotations

import hashlib
import os


def sha256_or_none(path: str | os.PathLike) -> str | None:
    """Return the SHA-256 of a file in hex, or None if it cannot be read."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as stream:
            for block in iter(lambda: stream.read(1 << 20), b""):
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()
