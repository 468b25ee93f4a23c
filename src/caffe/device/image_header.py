"""Read the size of an image from its header, without decoding. Runs on the device (Python 3.7).

Supports the formats of OpenCV: JPEG, PNG, GIF, BMP, WebP, TIFF, PNM and PAM, JPEG 2000, Sun raster, Radiance HDR,
OpenEXR and AVIF.
"""

from __future__ import annotations

import re
import struct
from typing import Callable, Optional, Tuple  # noqa: UP035 - Python 3.7

Size = Optional[Tuple[int, int]]  # noqa: UP006, UP045


def image_size(data: bytes) -> Size:
    """Return (width, height) of an encoded image; None for another format or a truncated header."""
    for start, reader in _READERS:
        if re.match(start, data[:16], re.DOTALL):
            try:
                return reader(data)
            except (struct.error, LookupError, ValueError, AttributeError, OverflowError):
                return None
    return None


def jpeg_is_complete(data: bytes) -> bool:
    """Return whether an end marker follows the first scan of a JPEG; older decoders fill missing pixels with gray."""
    offset = _jpeg_segment(data, b"\xda")
    if offset is None:
        return False
    return data.endswith(b"\xff\xd9") or data.find(b"\xff\xd9", offset) >= 0  # most end with it: no search


def _jpeg_segment(data: bytes, kinds: bytes) -> Optional[int]:  # noqa: UP045
    """Return the offset after the marker of the first segment of one of the `kinds`, or None."""
    offset, end = 2, len(data) - 4
    while offset <= end:
        kind = data[offset + 1]
        if data[offset] != 0xFF or kind == 0xFF:
            offset += 1
        elif kind in kinds:
            return offset + 2
        elif kind in _BARE:
            offset += 2
        elif kind == 0xDA:
            return None
        else:
            offset += 2 + max(2, data[offset + 2] << 8 | data[offset + 3])
    return None


_BARE = bytes([0x00, 0x01, *range(0xD0, 0xDA)])
_FRAMES = bytes(set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC})


def _jpeg(data: bytes) -> Size:
    offset = _jpeg_segment(data, _FRAMES)
    if offset is None:
        return None
    height, width = struct.unpack_from(">HH", data, offset + 3)
    return width, height


def _png(data: bytes) -> Size:
    return struct.unpack_from(">II", data, 16)


def _gif(data: bytes) -> Size:
    return struct.unpack_from("<HH", data, 6)


def _bmp(data: bytes) -> Size:
    if struct.unpack_from("<I", data, 14)[0] == 12:
        return struct.unpack_from("<HH", data, 18)
    width, height = struct.unpack_from("<ii", data, 18)
    return abs(width), abs(height)


def _webp(data: bytes) -> Size:
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _tiff(data: bytes) -> Size:
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    offset = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
    count = struct.unpack_from(order + ("Q" if big else "H"), data, offset)[0]
    offset, step, fields = offset + (8 if big else 2), 20 if big else 12, {}
    for entry in range(offset, offset + step * min(count, 4096), step):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if tag in (256, 257) and kind in _TIFF_KINDS:
            fields[tag] = struct.unpack_from(order + _TIFF_KINDS[kind], data, entry + (12 if big else 8))[0]
    return (fields[256], fields[257]) if len(fields) == 2 else None


_TIFF_KINDS = {1: "B", 3: "H", 4: "I", 16: "Q"}


def _pnm(data: bytes) -> Size:
    words = re.sub(rb"#[^\n]*", b"", data[2:4096]).split()
    return int(words[0]), int(words[1])


def _pam(data: bytes) -> Size:
    head = data[:4096].split(b"ENDHDR")[0]
    width, height = (re.search(rb"\b" + name + rb"\s+(\d+)", head) for name in (b"WIDTH", b"HEIGHT"))
    return (int(width.group(1)), int(height.group(1))) if width and height else None


def _jp2(data: bytes) -> Size:
    offset = data.find(b"\xff\x4f\xff\x51")  # the codestream; its size takes precedence over the copy in the box
    if offset < 0:
        return None
    right, bottom, left, top = struct.unpack_from(">IIII", data, offset + 8)
    return right - left, bottom - top


def _sun(data: bytes) -> Size:
    return struct.unpack_from(">II", data, 4)


def _radiance(data: bytes) -> Size:
    match = re.search(rb"\n[-+]([XY]) (\d+) [-+]([XY]) (\d+)\n", data[:65536])
    sizes = {match.group(1): int(match.group(2)), match.group(3): int(match.group(4))} if match else {}
    return (sizes[b"X"], sizes[b"Y"]) if len(sizes) == 2 else None


def _exr(data: bytes) -> Size:
    offset = data.find(b"dataWindow\0box2i\0", 0, 65536)
    if offset < 0:
        return None
    left, top, right, bottom = struct.unpack_from("<iiii", data, offset + 21)
    return right - left + 1, bottom - top + 1


def _avif(data: bytes) -> Size:
    sizes = [struct.unpack_from(">II", data, match.end() + 4) for match in re.finditer(b"ispe", data[:65536])]
    return max(sizes, key=lambda size: size[0] * size[1]) if sizes else None


_READERS: Tuple[Tuple[bytes, Callable], ...] = (  # noqa: UP006
    (rb"\xff\xd8", _jpeg),
    (rb"\x89PNG\r\n\x1a\n", _png),
    (rb"GIF8[79]a", _gif),
    (rb"BM", _bmp),
    (rb"RIFF....WEBP", _webp),
    (rb"II[*+]\0|MM\0[*+]", _tiff),
    (rb"P[1-6Ff][\s#]", _pnm),
    (rb"P7\s", _pam),
    (rb"\0\0\0\x0cjP|\xff\x4f\xff\x51", _jp2),
    (rb"\x59\xa6\x6a\x95", _sun),
    (rb"#\?", _radiance),
    (rb"\x76\x2f\x31\x01", _exr),
    (rb"....ftypavi[fs]", _avif),
)
