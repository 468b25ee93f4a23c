"""Cached tables of a message's fields by name and number, faster than protobuf's descriptors."""

from __future__ import annotations

from typing import Any

_KINDS = {
    1: "double", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 8: "bool", 9: "string", 11: "message",
    12: "bytes", 13: "uint32", 14: "enum",
}  # fmt: skip


class Field:
    """One field of a message type: name, number, kind ("float", "message" …), and its message or enum type."""

    __slots__ = ("enum", "kind", "message", "name", "names", "number", "repeated", "required")

    def __init__(self, descriptor: Any):
        self.name = descriptor.name
        self.number = descriptor.number
        self.kind = _KINDS[descriptor.type]
        self.repeated, self.required = _cardinality(descriptor)
        self.message = descriptor.message_type
        values = descriptor.enum_type.values if descriptor.enum_type else ()
        self.enum = {value.name: value.number for value in values}
        self.names = {number: name for name, number in self.enum.items()}


def _cardinality(descriptor: Any) -> tuple[bool, bool]:
    """Return (repeated, required); protobuf 6 renamed `label`."""
    if hasattr(descriptor, "is_repeated"):
        return descriptor.is_repeated, descriptor.is_required
    return descriptor.label == 3, descriptor.label == 2


class Table:
    """The fields of a message type by name and by number, and the names of the required fields."""

    __slots__ = ("by_name", "by_number", "name", "required")

    def __init__(self, descriptor: Any):
        fields = [Field(field) for field in descriptor.fields]
        self.name = descriptor.name
        self.by_name = {field.name: field for field in fields}
        self.by_number = {field.number: field for field in fields}
        self.required = [field.name for field in fields if field.required]


_tables: dict[str, Table] = {}


def table(descriptor: Any) -> Table:
    """Return the cached Table of a message descriptor."""
    cached = _tables.get(descriptor.full_name)
    if cached is None:
        cached = _tables[descriptor.full_name] = Table(descriptor)
    return cached
