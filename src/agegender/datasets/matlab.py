"""Read MATLAB level 5 .mat files: numbers, text, cells and structs, plain or compressed.

SciPy reads them too, but nothing else in this package needs it. The format is described in "MAT-File Format",
MathWorks; files of version 7.3 are HDF5.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from agegender.errors import AgeGenderError

# Data types (mi...) and array classes (mx...) by their numbers in the file.
_STORED = {
    **{1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"},
    **{16: "u1", 17: "u2", 18: "u4"},
}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_MATRIX, _COMPRESSED, _CELL, _STRUCT, _CHAR = 14, 15, 1, 2, 4
_TEXT = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
MAX_DEPTH = 32


def read(path: str | os.PathLike, fields: Sequence[str] | None = None) -> dict[str, Any]:
    """Read the variables of a .mat file.

    Parameters
    ----------
    path : path
    fields : sequence of str, optional
        Fields of structs to read; all by default. Reading few fields takes a third of the time on large files.

    Returns
    -------
    dict
        {variable: value}: numbers as arrays (of MATLAB's shape), text as str, cells as lists, 1x1 structs as dicts.

    Raises
    ------
    AgeGenderError
        If the file is not of level 5, is damaged, or uses a feature that is not supported.
    """
    with open(path, "rb") as stream:
        data = stream.read()
    if data[:8] == b"\x89HDF\r\n\x1a\n" or data[512:520] == b"\x89HDF\r\n\x1a\n":
        raise AgeGenderError(f"{path}: expected MATLAB level 5, received MATLAB 7.3 (HDF5); save it with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if len(data) < 128 or order is None:
        raise AgeGenderError(f"{path}: not a MATLAB level 5 file")
    variables, offset = {}, 128
    try:
        while offset + 8 <= len(data):
            type_, body, offset = _element(memoryview(data), offset, order)
            if type_ == _COMPRESSED:
                type_, body, _ = _element(memoryview(zlib.decompress(body)), 0, order)
            if type_ == _MATRIX:
                name, value = _matrix(body, order, fields=fields)
                variables[name] = value
    except (struct.error, ValueError, IndexError, KeyError, UnicodeDecodeError, zlib.error) as error:
        raise AgeGenderError(f"{path}: damaged, or an unsupported kind of .mat file: {error}") from error
    return variables


def _element(data, offset, order):
    """(data type, bytes, offset of the next element); small elements pack type, size and data into eight bytes."""
    type_, size = struct.unpack_from(order + "II", data, offset)
    if type_ >> 16:
        type_, size = type_ & 0xFFFF, type_ >> 16
        if size > 4:
            raise ValueError(f"a small element of {size} bytes, expected at most 4")
        return type_, data[offset + 4 : offset + 4 + size], offset + 8
    end = offset + 8 + size
    if end > len(data):
        raise ValueError(f"an element of {size} bytes at {offset} extends beyond the end")
    return type_, data[offset + 8 : end], end if type_ == _COMPRESSED else end + -size % 8


def _matrix(body, order, depth=0, fields=None):
    """(name, value) of a miMATRIX element."""
    if not len(body):
        return "", np.empty((0, 0))
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    _, flags, offset = _element(body, 0, order)
    flags = struct.unpack_from(order + "I", flags)[0]
    _, shape, offset = _element(body, offset, order)
    _, name, offset = _element(body, offset, order)
    shape = tuple(int(n) for n in np.frombuffer(shape, order + "i4"))
    if flags & 0x800:
        raise ValueError("complex numbers are not supported")
    class_ = flags & 0xFF
    name = bytes(name).decode("latin-1")
    if class_ == _CELL:
        return name, [value for _, value in _matrices(body, offset, order, math.prod(shape), depth)]
    if class_ == _STRUCT:
        return name, _struct(body, offset, order, shape, depth, fields)
    stored, raw, _ = _element(body, offset, order)
    if class_ == _CHAR:
        return name, _characters(stored, bytes(raw), order)
    values = np.frombuffer(raw, order + _STORED[stored])
    return name, values.astype(_CLASSES[class_]).reshape(shape, order="F")


def _matrices(body, offset, order, count, depth, selected=None):
    """Yield (name, value) of `count` consecutive matrices; ("", None) where `selected` (a list of bools) is false."""
    for index in range(count):
        type_, inner, offset = _element(body, offset, order)
        if type_ != _MATRIX:
            raise ValueError(f"expected a matrix, received an element of type {type_}")
        yield _matrix(inner, order, depth + 1) if selected is None or selected[index] else ("", None)


def _struct(body, offset, order, shape, depth, selected_fields):
    _, length, offset = _element(body, offset, order)
    _, names, offset = _element(body, offset, order)
    length = struct.unpack_from(order + "i", length)[0]
    raw = bytes(names)
    fields = [raw[i : i + length].split(b"\0")[0].decode("latin-1") for i in range(0, len(raw), length)]
    count = math.prod(shape)
    if count * len(fields) > len(body) // 8:  # an element has at least 8 bytes
        raise ValueError(f"a struct of shape {shape} with {len(fields)} fields does not fit in {len(body)} bytes")
    selected = [selected_fields is None or field in selected_fields for field in fields]
    values = [value for _, value in _matrices(body, offset, order, count * len(fields), depth, selected * count)]
    structs = []
    for i in range(count):
        items = zip(fields, selected, values[i * len(fields) : (i + 1) * len(fields)])
        structs.append({field: value for field, is_selected, value in items if is_selected})
    return structs[0] if count == 1 else structs


def _characters(stored, raw, order):
    encoding = _TEXT[stored]
    if encoding.startswith("utf-") and encoding != "utf-8":
        encoding += "-le" if order == "<" else "-be"
    return raw.decode(encoding)
