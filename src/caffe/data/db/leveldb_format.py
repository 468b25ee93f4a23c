"""LevelDB's file formats: checksums, Snappy, logs and tables (LevelDB's doc/table_format.md and log_format.md).

Pure Python, because no LevelDB wheel exists for every supported Python version.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from caffe.proto.wire_format import WireError, read_varint, varint

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
    """Return (4, 256) tables that append `count` zero bytes (a power of two) to a checksum, a linear operation."""
    values = np.arange(256, dtype=np.uint32)
    shifted = np.stack([values << np.uint32(8 * byte) for byte in range(4)])
    if count == 1:
        return _table()[shifted & 0xFF] ^ (shifted >> 8)
    half = _append_zeros(count // 2)
    return _apply(half, _apply(half, shifted))


def _apply(tables: np.ndarray, values: np.ndarray) -> np.ndarray:
    out = tables[0][values & 0xFF]
    for byte in (1, 2, 3):
        out = out ^ tables[byte][values >> np.uint32(8 * byte) & 0xFF]
    return out


@lru_cache(None)
def _two_byte_table() -> np.ndarray:
    return _apply(_append_zeros(2), np.arange(1 << 16, dtype=np.uint32))


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of `data`; long data is processed in parallel lanes of 64 bytes, two bytes per step."""
    if len(data) < 16 * _LANE:
        table, value = _table().tolist() if len(data) > 64 else _table(), 0xFFFFFFFF
        for byte in data:
            value = int(table[(value ^ byte) & 0xFF]) ^ (value >> 8)
        return value ^ 0xFFFFFFFF
    lanes = 1 << (-(-len(data) // _LANE) - 1).bit_length()
    padded = np.zeros(lanes * _LANE, np.uint8)  # leading zeros do not change a checksum of 0
    padded[-len(data) :] = np.frombuffer(data, np.uint8)
    padded[-len(data) :][:4] ^= 0xFF  # equivalent to the initial value 0xFFFFFFFF
    columns = np.ascontiguousarray(padded.view("<u2").reshape(lanes, _LANE // 2).T)
    values, table = np.zeros(lanes, np.uint32), _two_byte_table()
    for column in columns:
        values = table[(values ^ column) & 0xFFFF] ^ (values >> 16)
    length = _LANE
    while len(values) > 1:
        values = _apply(_append_zeros(length), values[0::2]) ^ values[1::2]
        length *= 2
    return int(values[0]) ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    """Return the stored form of a checksum; masking avoids the weakness of checksums over checksums."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


# ---- Snappy


def uncompress(data: bytes) -> bytes:
    """Decompress Snappy data (format_description.txt); raise WireError if it is invalid."""
    size, at = read_varint(memoryview(data), 0)
    out = bytearray()
    try:
        while at < len(data):
            tag = data[at]
            at = _literal(data, at, tag, out) if tag & 3 == 0 else _copy(data, at, tag, out)
    except IndexError:
        raise WireError("compressed data is truncated") from None
    if len(out) != size:
        raise WireError(f"compressed data: expected {size} bytes, received {len(out)}")
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
    element_type = tag & 3
    if element_type == 1:
        length, offset, used = (tag >> 2 & 7) + 4, tag >> 5 << 8 | data[at + 1], 2
    else:
        used = 3 if element_type == 2 else 5
        if at + used > len(data):
            raise IndexError
        length, offset = (tag >> 2) + 1, int.from_bytes(data[at + 1 : at + used], "little")
    if not 0 < offset <= len(out):
        raise WireError(f"compressed data refers {offset} bytes back, only {len(out)} exist")
    start = len(out) - offset
    piece = out[start : start + length]
    while len(piece) < length:
        piece += piece[: length - len(piece)]
    out += piece
    return at + used


# ---- logs (a manifest is also a log)


def log_records(data: bytes) -> Iterator[bytes]:
    """Yield the records of a log; an incomplete last record, as a crash leaves it, is ignored."""
    parts: list[bytes] = []
    at = 0
    while at + _HEADER.size <= len(data):
        remaining = LOG_BLOCK - at % LOG_BLOCK
        if remaining < _HEADER.size:
            at += remaining
            continue
        crc, length, record_type = _HEADER.unpack_from(data, at)
        body = data[at + 6 : at + _HEADER.size + length]
        if record_type == 0 and length == 0:  # preallocated space
            return
        if len(body) != length + 1:
            return
        if masked(crc32c(body)) != crc:
            raise WireError(f"wrong checksum at byte {at} of a log")
        at += _HEADER.size + length
        if record_type in (_FULL, _FIRST):
            parts = []
        parts.append(body[1:])
        if record_type in (_FULL, _LAST):
            yield b"".join(parts)


def log_bytes(record: bytes) -> bytes:
    """Return a log with one record, split at block boundaries."""
    out = bytearray()
    at, first = 0, True
    while first or at < len(record):
        remaining = LOG_BLOCK - len(out) % LOG_BLOCK
        if remaining < _HEADER.size:
            out += bytes(remaining)
            continue
        piece = record[at : at + remaining - _HEADER.size]
        at += len(piece)
        record_type = (_FULL if first else _LAST) if at == len(record) else _FIRST if first else _MIDDLE
        out += _HEADER.pack(masked(crc32c(bytes([record_type]) + piece)), len(piece), record_type) + piece
        first = False
    return bytes(out)


# ---- tables


def block_entries(block: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield (key, start of the value, end of the value) of each entry of a block."""
    if len(block) < 4:
        raise WireError(f"a block of {len(block)} bytes")
    end = len(block) - 4 - 4 * int.from_bytes(block[-4:], "little")
    if end < 0:
        raise WireError("a block with more restarts than bytes")
    view, key, at = memoryview(block), b"", 0
    while at < end:
        shared, at = read_varint(view, at)
        unshared, at = read_varint(view, at)
        length, at = read_varint(view, at)
        if shared > len(key) or at + unshared + length > end:
            raise WireError("a block entry extends beyond its block")
        key = key[:shared] + block[at : at + unshared]
        at += unshared
        yield key, at, at + length
        at += length


def block_bytes(entries: Sequence[tuple[bytes, Buffer]]) -> bytes:
    """Return a block of (key, value) pairs; every key is stored in full, so every entry is a restart point."""
    out, restarts = bytearray(), []
    for key, value in entries:
        restarts.append(len(out))
        out += b"\0" + varint(len(key)) + varint(len(value)) + key
        out += value
    restarts = restarts or [0]
    return bytes(out) + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def handle_bytes(offset: int, size: int) -> bytes:
    """Return the handle of a block: its offset and size."""
    return varint(offset) + varint(size)


def read_handle(view: memoryview, at: int) -> tuple[int, int, int]:
    """Read a handle; return (offset, size, position after the handle)."""
    offset, at = read_varint(view, at)
    size, at = read_varint(view, at)
    return offset, size, at


def footer_bytes(metaindex: bytes, index: bytes) -> bytes:
    """Return the footer of a table: the handles of its last two blocks and the magic number."""
    return (metaindex + index).ljust(FOOTER - 8, b"\0") + struct.pack("<Q", MAGIC)


def index_handle(footer: bytes) -> tuple[int, int]:
    """Return (offset, size) of a table's index block, given the last 48 bytes of the table."""
    if len(footer) != FOOTER or struct.unpack("<Q", footer[-8:])[0] != MAGIC:
        raise WireError("not a LevelDB table: the magic number at the end is missing")
    view = memoryview(footer)
    _, _, at = read_handle(view, 0)
    return read_handle(view, at)[:2]
