"""LevelDB's file formats: checksums, Snappy, logs, tables (its doc/table_format.md and log_format.md).

In Python alone, since no LevelDB wheel is kept for every Python that runs here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from caffe.data.wire_format import WireError, read_varint, varint

Buffer = bytes | bytearray | memoryview
MAGIC = 0xDB4775248B80FB57
FOOTER = 48
BLOCK_TRAILER = 5  # compression, checksum
LOG_BLOCK = 32768
DELETION, VALUE = 0, 1
_HEADER = struct.Struct("<IHB")  # of a log record: checksum, length, type
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_LANE = 64


# ---- checksums: CRC-32C, masked


@lru_cache(None)
def _table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> 1) ^ np.where(table & 1, np.uint32(0x82F63B78), np.uint32(0))
    return table


@lru_cache(None)
def _append_zeros(count: int) -> np.ndarray:
    """(4, 256) tables of what `count` zero bytes (a power of two) do to a checksum, a linear thing."""
    values = np.arange(256, dtype=np.uint32)
    shifted = np.stack([values << np.uint32(8 * place) for place in range(4)])
    if count == 1:
        return _table()[shifted & 0xFF] ^ (shifted >> 8)
    half = _append_zeros(count // 2)
    return _apply(half, _apply(half, shifted))


def _apply(tables: np.ndarray, values: np.ndarray) -> np.ndarray:
    out = tables[0][values & 0xFF]
    for place in (1, 2, 3):
        out = out ^ tables[place][values >> np.uint32(8 * place) & 0xFF]
    return out


@lru_cache(None)
def _table_of_pairs() -> np.ndarray:
    return _apply(_append_zeros(2), np.arange(1 << 16, dtype=np.uint32))


def crc32c(data: bytes) -> int:
    """CRC-32C of `data`; long data goes in lanes of 64 bytes side by side, two at a time."""
    if len(data) < 16 * _LANE:
        table, value = _table().tolist() if len(data) > 64 else _table(), 0xFFFFFFFF
        for byte in data:
            value = int(table[(value ^ byte) & 0xFF]) ^ (value >> 8)
        return value ^ 0xFFFFFFFF
    lanes = 1 << (-(-len(data) // _LANE) - 1).bit_length()
    padded = np.zeros(lanes * _LANE, np.uint8)  # zeros in front change nothing while the checksum is 0
    padded[-len(data) :] = np.frombuffer(data, np.uint8)
    padded[-len(data) :][:4] ^= 0xFF  # which is to start at all ones
    columns = np.ascontiguousarray(padded.view("<u2").reshape(lanes, _LANE // 2).T)
    values, table = np.zeros(lanes, np.uint32), _table_of_pairs()
    for column in columns:
        values = table[(values ^ column) & 0xFFFF] ^ (values >> 16)
    length = _LANE
    while len(values) > 1:
        values = _apply(_append_zeros(length), values[0::2]) ^ values[1::2]
        length *= 2
    return int(values[0]) ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    """A checksum as it is stored, so that checksums of checksums do no harm."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


# ---- Snappy


def uncompress(data: bytes) -> bytes:
    """Undo Snappy (format_description.txt); WireError where `data` is none."""
    size, at = read_varint(memoryview(data), 0)
    out = bytearray()
    try:
        while at < len(data):
            tag = data[at]
            at = _literal(data, at, tag, out) if tag & 3 == 0 else _copy(data, at, tag, out)
    except IndexError:
        raise WireError("compressed data cut short") from None
    if len(out) != size:
        raise WireError("compressed data gives %d bytes, %d were promised" % (len(out), size))
    return bytes(out)


def _literal(data: bytes, at: int, tag: int, out: bytearray) -> int:
    length, at = tag >> 2, at + 1
    if length >= 60:
        width = length - 59
        length = int.from_bytes(data[at : at + width], "little")
        at += width
    if at + length + 1 > len(data):
        raise IndexError
    out += data[at : at + length + 1]
    return at + length + 1


def _copy(data: bytes, at: int, tag: int, out: bytearray) -> int:
    kind = tag & 3
    if kind == 1:
        length, offset, used = (tag >> 2 & 7) + 4, tag >> 5 << 8 | data[at + 1], 2
    else:
        used = 3 if kind == 2 else 5
        if at + used > len(data):
            raise IndexError
        length, offset = (tag >> 2) + 1, int.from_bytes(data[at + 1 : at + used], "little")
    if not 0 < offset <= len(out):
        raise WireError("compressed data points %d bytes back of %d" % (offset, len(out)))
    start = len(out) - offset
    piece = out[start : start + length]
    while len(piece) < length:
        piece += piece[: length - len(piece)]
    out += piece
    return at + used


# ---- logs (the manifest is one, too)


def log_records(data: bytes) -> Iterator[bytes]:
    """The records of a log; a torn last one, as a crash leaves it, ends them."""
    parts: list[bytes] = []
    at = 0
    while at + _HEADER.size <= len(data):
        left = LOG_BLOCK - at % LOG_BLOCK
        if left < _HEADER.size:
            at += left
            continue
        crc, length, kind = _HEADER.unpack_from(data, at)
        body = data[at + 6 : at + _HEADER.size + length]
        if kind == 0 and length == 0:  # space set aside and never written
            return
        if len(body) != length + 1:
            return
        if masked(crc32c(body)) != crc:
            raise WireError("wrong checksum at byte %d of a log" % at)
        at += _HEADER.size + length
        if kind in (_FULL, _FIRST):
            parts = []
        parts.append(body[1:])
        if kind in (_FULL, _LAST):
            yield b"".join(parts)


def log_bytes(record: bytes) -> bytes:
    """A log of one record, cut at the block borders."""
    out = bytearray()
    at, first = 0, True
    while first or at < len(record):
        left = LOG_BLOCK - len(out) % LOG_BLOCK
        if left < _HEADER.size:
            out += bytes(left)
            continue
        piece = record[at : at + left - _HEADER.size]
        at += len(piece)
        kind = (_FULL if first else _LAST) if at == len(record) else _FIRST if first else _MIDDLE
        out += _HEADER.pack(masked(crc32c(bytes([kind]) + piece)), len(piece), kind) + piece
        first = False
    return bytes(out)


# ---- tables


def block_entries(block: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(key, value's start, value's end) of each entry of a block."""
    if len(block) < 4:
        raise WireError("a block of %d bytes" % len(block))
    end = len(block) - 4 - 4 * int.from_bytes(block[-4:], "little")
    if end < 0:
        raise WireError("a block with more restarts than bytes")
    view, key, at = memoryview(block), b"", 0
    while at < end:
        shared, at = read_varint(view, at)
        fresh, at = read_varint(view, at)
        length, at = read_varint(view, at)
        if shared > len(key) or at + fresh + length > end:
            raise WireError("a block entry that reaches out of its block")
        key = key[:shared] + block[at : at + fresh]
        at += fresh
        yield key, at, at + length
        at += length


def block_bytes(entries: Sequence[tuple[bytes, Buffer]]) -> bytes:
    """A block of (key, value) in order, each key written out, so that each is a place to start from."""
    out, starts = bytearray(), []
    for key, value in entries:
        starts.append(len(out))
        out += b"\0" + varint(len(key)) + varint(len(value)) + key
        out += value
    starts = starts or [0]
    return bytes(out) + struct.pack("<%dI" % (len(starts) + 1), *starts, len(starts))


def handle_bytes(offset: int, size: int) -> bytes:
    """Where a block lies."""
    return varint(offset) + varint(size)


def read_handle(view: memoryview, at: int) -> tuple[int, int, int]:
    """(offset, size, position after the handle)."""
    offset, at = read_varint(view, at)
    size, at = read_varint(view, at)
    return offset, size, at


def footer_bytes(metaindex: bytes, index: bytes) -> bytes:
    """The end of a table: the handles of its two last blocks, and the magic number."""
    return (metaindex + index).ljust(FOOTER - 8, b"\0") + struct.pack("<Q", MAGIC)


def index_handle(footer: bytes) -> tuple[int, int]:
    """(offset, size) of a table's index block, from its last 48 bytes."""
    if len(footer) != FOOTER or struct.unpack("<Q", footer[-8:])[0] != MAGIC:
        raise WireError("no LevelDB table: its end lacks the magic number")
    view = memoryview(footer)
    _, _, at = read_handle(view, 0)
    return read_handle(view, at)[:2]
