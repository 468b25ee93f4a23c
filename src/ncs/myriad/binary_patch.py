"""Patches between two similar files in the format BSDIFF40, which `bspatch` and depthai apply.

A patch is `BSDIFF40`, three sizes (control, difference, new file; 8 bytes each, little endian, the sign in the highest
bit), and three bzip2 streams: triples (bytes to add to the old file's, bytes to insert, offset to skip in the old
file), differences, and inserted bytes. Only exact matches are looked for: files of a compiler differ by moved blocks.
"""

from __future__ import annotations

import bz2
import struct
from collections.abc import Iterator

import numpy as np

from ncs.errors import NcsError

_MAGIC = b"BSDIFF40"
_HEADER = struct.Struct("<8s8s8s8s")
_BLOCK, _STEP = 64, 16  # bytes: size of a compared block, and alignment of the data in a blob
_MAX_SIZE = 1 << 32


class Differ:
    """Creates patches against one old file, whose blocks are indexed once."""

    def __init__(self, old: bytes) -> None:
        self._old = old
        self._bytes = np.frombuffer(old, np.uint8)
        self._positions = {old[at : at + _BLOCK]: at for at in range(len(old) - _BLOCK, -1, -_BLOCK)}

    def patch(self, new: bytes) -> bytes:
        """Return the patch that turns the old file into `new`."""
        control, inserted = [], []
        old_end = new_end = 0
        pieces = [*self._matches(new), (len(self._old), len(new), 0)]
        # a triple adds the match before it, inserts what follows, and moves to the next match
        length = 0
        for old_at, new_at, next_length in pieces:
            inserted.append(new[new_end:new_at])
            control.append((length, new_at - new_end, old_at - old_end))
            old_end, new_end, length = old_at + next_length, new_at + next_length, next_length
        triples = b"".join(_integer(value) for row in control for value in row)
        total = sum(row[0] for row in control)
        blocks = [bz2.compress(part) for part in (triples, bytes(total), b"".join(inserted))]
        sizes = (_integer(len(blocks[0])), _integer(len(blocks[1])), _integer(len(new)))
        return _HEADER.pack(_MAGIC, *sizes) + b"".join(blocks)

    def _matches(self, new: bytes) -> Iterator[tuple[int, int, int]]:
        """Yield (position in the old file, position in the new file, length) of equal runs, in the new file's order."""
        values = np.frombuffer(new, np.uint8)
        at = old_end = 0
        while at + _BLOCK <= len(new):
            block = new[at : at + _BLOCK]
            # prefer to continue where the last run ended: many blocks are equal
            candidate = old_end if self._old[old_end : old_end + _BLOCK] == block else self._positions.get(block)
            if candidate is None:
                at += _STEP
                continue
            length = _equal(self._bytes[candidate:], values[at:])
            yield candidate, at, length
            old_end, at = candidate + length, at + length


def _equal(first: np.ndarray, second: np.ndarray) -> int:
    """Return the number of leading elements that are equal."""
    limit, done, size = min(len(first), len(second)), 0, 4096
    while done < limit:
        end = min(limit, done + size)
        different = first[done:end] != second[done:end]
        if different.any():
            return done + int(different.argmax())
        done, size = end, min(size * 4, 1 << 24)
    return limit


def apply(old: bytes, patch: bytes) -> bytes:
    """Return the new file of a patch. Raises NcsError if the patch is damaged or belongs to another file."""
    try:
        return _apply(old, patch)
    except (struct.error, OSError, ValueError, EOFError) as error:
        raise NcsError(f"not a BSDIFF40 patch of this file: {error}") from None


def _apply(old: bytes, patch: bytes) -> bytes:
    magic, *sizes = _HEADER.unpack_from(patch)
    control_size, difference_size, size = map(_value, sizes)
    if magic != _MAGIC or min(control_size, difference_size, size) < 0 or size > _MAX_SIZE:
        raise ValueError("wrong header")
    at = _HEADER.size
    parts = (patch[at : at + control_size], patch[at + control_size : at + control_size + difference_size])
    triples, differences = map(_decompress, parts)
    inserted = _decompress(patch[at + control_size + difference_size :])
    rows = [_value(triples[i : i + 8]) for i in range(0, len(triples), 8)]
    new = bytearray()
    old_at = difference_at = inserted_at = 0
    for add, insert, skip in zip(rows[0::3], rows[1::3], rows[2::3]):
        if min(add, insert) < 0 or not 0 <= old_at <= old_at + add <= len(old) or len(new) + add + insert > size:
            raise ValueError("wrong control data")
        difference = np.frombuffer(differences[difference_at : difference_at + add], np.uint8)
        new += (np.frombuffer(old[old_at : old_at + add], np.uint8) + difference).tobytes()
        new += inserted[inserted_at : inserted_at + insert]
        old_at, difference_at, inserted_at = old_at + add + skip, difference_at + add, inserted_at + insert
    if len(new) != size:
        raise ValueError(f"expected {size} bytes, received {len(new)}")
    return bytes(new)


def _decompress(block: bytes) -> bytes:
    """Decompress at most `_MAX_SIZE` bytes."""
    content = bz2.BZ2Decompressor().decompress(block, _MAX_SIZE)
    return content


def _integer(value: int) -> bytes:
    return struct.pack("<Q", abs(value) | (1 << 63 if value < 0 else 0))


def _value(content: bytes) -> int:
    (number,) = struct.unpack("<Q", content)
    magnitude = number & ((1 << 63) - 1)
    return -magnitude if number >> 63 else magnitude
