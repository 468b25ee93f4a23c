"""Finds the fields of a serialized message that a schema does not have."""

from __future__ import annotations

from typing import Any

from caffe.proto import wire_format
from caffe.proto.field_tables import Field, table

_WIRE_TYPES = {
    "float": wire_format.FIXED32,
    "double": wire_format.FIXED64,
    "string": wire_format.BYTES,
    "bytes": wire_format.BYTES,
    "message": wire_format.BYTES,
}
_OPAQUE = ("BlobProto", "Datum")  # weights and data; their forms are recognized by their readers
_ANY_MEMBER = ("NetParameter", "NetState")  # unknown members of these do not change what a net computes


def unknown_fields(view: memoryview, descriptor: Any) -> list[str]:
    """Return the unknown fields and enum values, as "Message.number", each once, in the order of the file."""
    found: dict[str, None] = {}
    _walk(view, descriptor, found)
    return list(found)


def _walk(view: memoryview, descriptor: Any, found: dict[str, None]) -> None:
    known = table(descriptor)
    try:
        for number, wire_type, value in wire_format.fields(view):
            field = known.by_number.get(number)
            label = f"{known.name}.{field.name if field else number}"
            if field is None or not _has_type(field, wire_type):
                if known.name not in _ANY_MEMBER:
                    found.setdefault(label)
            elif field.kind == "message":
                if field.message.name not in _OPAQUE:
                    _walk(value, field.message, found)
            elif field.kind == "enum" and isinstance(value, int) and wire_format.signed(value) not in field.names:
                found.setdefault(f"{label}: {value}")
    except wire_format.WireError:  # a string or list that is no message, read with another fork's numbers
        found.setdefault(known.name)


def _has_type(field: Field, wire_type: int) -> bool:
    expected = _WIRE_TYPES.get(field.kind, wire_format.VARINT)
    return wire_type == expected or (field.repeated and wire_type == wire_format.BYTES)
