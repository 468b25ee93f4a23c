"""MATLAB's level 5 .mat files, read only: numbers, text, cells and structs, plain or compressed.

SciPy reads them too, but nothing else here needs it. (MAT-File Format, MathWorks; version 7.3 files are HDF5.)
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

from agegender.errors import AgeGenderError

_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
           16: "u1", 17: "u2", 18: "u4"}  # fmt: skip
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_MATRIX, _COMPRESSED, _CELL, _STRUCT, _CHAR = 14, 15, 1, 2, 4
_TEXT = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
DEEPEST = 32


def read(path, fields=None):
    """{variable: value}: numbers as arrays (MATLAB's shape), text as str, cells as lists, 1x1 structs as dicts.

    Of structs only the `fields` named are read, all of them without; a large file is read in a third of the time then.
    """
    with open(path, "rb") as stream:
        data = stream.read()
    if data[:8] == b"\x89HDF\r\n\x1a\n" or data[512:520] == b"\x89HDF\r\n\x1a\n":
        raise AgeGenderError(f"{path}: MATLAB 7.3 (HDF5); save it with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if len(data) < 128 or order is None:
        raise AgeGenderError(f"{path}: not a MATLAB level 5 file")
    found, at = {}, 128
    try:
        while at + 8 <= len(data):
            kind, body, at = _element(memoryview(data), at, order)
            if kind == _COMPRESSED:
                kind, body, _ = _element(memoryview(zlib.decompress(body)), 0, order)
            if kind == _MATRIX:
                name, value = _matrix(body, order, fields=fields)
                found[name] = value
    except (struct.error, ValueError, IndexError, KeyError, UnicodeDecodeError, zlib.error) as error:
        raise AgeGenderError(f"{path}: damaged, or a kind of .mat that is not read here: {error}") from error
    return found


def _element(data, at, order):
    """(type, bytes, place of the next element): small elements hold both in eight bytes."""
    kind, size = struct.unpack_from(order + "II", data, at)
    if kind >> 16:
        kind, size = kind & 0xFFFF, kind >> 16
        if size > 4:
            raise ValueError("a small element of %d bytes" % size)
        return kind, data[at + 4 : at + 4 + size], at + 8
    end = at + 8 + size
    if end > len(data):
        raise ValueError("an element of %d bytes at %d goes beyond the end" % (size, at))
    return kind, data[at + 8 : end], end if kind == _COMPRESSED else end + -size % 8


def _matrix(body, order, depth=0, fields=None):
    """(name, value) of a miMATRIX element."""
    if not len(body):
        return "", np.empty((0, 0))
    if depth > DEEPEST:
        raise ValueError("nested deeper than %d" % DEEPEST)
    _, flags, at = _element(body, 0, order)
    kind = struct.unpack_from(order + "I", flags)[0]
    _, shape, at = _element(body, at, order)
    _, name, at = _element(body, at, order)
    shape = tuple(int(n) for n in np.frombuffer(shape, order + "i4"))
    if kind & 0x800:
        raise ValueError("complex numbers")
    kind &= 0xFF
    text = bytes(name).decode("latin-1")
    if kind == _CELL:
        return text, [value for _, value in _matrices(body, at, order, _count(shape), depth)]
    if kind == _STRUCT:
        return text, _struct(body, at, order, shape, depth, fields)
    stored, raw, _ = _element(body, at, order)
    if kind == _CHAR:
        return text, _characters(stored, bytes(raw), order)
    values = np.frombuffer(raw, order + _STORED[stored])
    return text, values.astype(_CLASSES[kind]).reshape(shape, order="F")


def _count(shape):
    count = 1
    for n in shape:
        count *= n
    return count


def _matrices(body, at, order, count, depth, wanted=None):
    """(name, value) of `count` matrices in a row; of those that are not `wanted` (a list of bools), None."""
    for index in range(count):
        kind, inner, at = _element(body, at, order)
        if kind != _MATRIX:
            raise ValueError("an element of type %d where a matrix is due" % kind)
        yield _matrix(inner, order, depth + 1) if wanted is None or wanted[index] else ("", None)


def _struct(body, at, order, shape, depth, wanted):
    _, length, at = _element(body, at, order)
    _, names, at = _element(body, at, order)
    length = struct.unpack_from(order + "i", length)[0]
    raw = bytes(names)
    fields = [raw[i : i + length].split(b"\0")[0].decode("latin-1") for i in range(0, len(raw), length)]
    count = _count(shape)
    if count * len(fields) > len(body) // 8:  # the least that an element has
        raise ValueError("a struct of %s with %d fields in %d bytes" % (shape, len(fields), len(body)))
    chosen = [wanted is None or field in wanted for field in fields]
    values = [value for _, value in _matrices(body, at, order, count * len(fields), depth, chosen * count)]
    rows = []
    for i in range(count):
        row = zip(fields, chosen, values[i * len(fields) : (i + 1) * len(fields)])
        rows.append({field: value for field, take, value in row if take})
    return rows[0] if count == 1 else rows


def _characters(stored, raw, order):
    code = _TEXT[stored]
    if code.startswith("utf-") and code != "utf-8":
        code += "-le" if order == "<" else "-be"
    return raw.decode(code)
