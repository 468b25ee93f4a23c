"""Format messages as prototxt, byte-identical to Caffe's tools (protobuf's C++ TextFormat)."""

from __future__ import annotations

import math
import struct
from typing import Any

from caffe.proto.field_tables import Field, table

_ESCAPES = {10: "\\n", 13: "\\r", 9: "\\t", 34: '\\"', 39: "\\'", 92: "\\\\"}


def format(message: Any) -> str:
    """Return the text of a message: fields in order of number, two spaces per level, one line per value.

    Fields that caffe.proto does not define are omitted, because text without field names cannot be parsed.
    """
    lines: list[str] = []
    _print(message, "", lines)
    return "".join(lines)


def _print(message: Any, indent: str, lines: list[str]) -> None:
    by_number = table(message.DESCRIPTOR).by_number
    for descriptor, value in message.ListFields():
        field = by_number[descriptor.number]
        for item in value if field.repeated else (value,):
            if field.kind == "message":
                lines.append(f"{indent}{field.name} {{\n")
                _print(item, indent + "  ", lines)
                lines.append(f"{indent}}}\n")
            else:
                lines.append(f"{indent}{field.name}: {_scalar(field, item)}\n")


def _scalar(field: Field, value: Any) -> str:
    if field.kind == "float":
        return float_text(value)
    if field.kind == "double":
        return _shortest(value, 15, 17, float)
    if field.kind == "bool":
        return "true" if value else "false"
    if field.kind == "enum":
        return field.names.get(value, str(value))
    if field.kind in ("string", "bytes"):
        return '"{}"'.format(_escape(value.encode("utf-8") if field.kind == "string" else value))
    return str(value)


def float_text(value: float) -> str:
    """Format a 32-bit float with six digits if that is exact, else with nine, as C++ does."""
    return _shortest(value, 6, 9, lambda text: struct.unpack("f", _pack_float(float(text)))[0])


def _pack_float(value: float) -> bytes:
    try:
        return struct.pack("f", value)
    except OverflowError:  # FLT_MAX rounded to six digits overflows
        return struct.pack("f", math.copysign(math.inf, value))


def _shortest(value: float, few_digits: int, many_digits: int, parse: Any) -> str:
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    text = f"{value:.{few_digits}g}"
    return text if parse(text) == value else f"{value:.{many_digits}g}"


def _escape(data: bytes) -> str:
    return "".join(_ESCAPES.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}") for byte in data)
