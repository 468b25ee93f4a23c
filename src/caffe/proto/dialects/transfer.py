"""Copies a message to another schema by the names of its fields and enum values."""

from __future__ import annotations

from typing import Any

from caffe.errors import CaffeError
from caffe.proto.field_tables import Field, table


def copy(source: Any, target: Any, where: str, schema: str) -> None:
    """Copy all fields of `source` to `target`, a message of the same name in another schema.

    Raises
    ------
    CaffeError
        With `where` and the layer, if a field or value does not exist in the other schema (called `schema`).
    """
    fields, known = table(source.DESCRIPTOR).by_name, table(target.DESCRIPTOR)
    for descriptor, value in source.ListFields():
        field = fields[descriptor.name]
        label = f"{known.name}.{field.name}"
        if field.name == "unknown_field":
            raise CaffeError(f"{where}: unknown field {value[0]}")
        other = known.by_name.get(field.name)
        if other is None:
            raise CaffeError(f"{where}: {schema} has no field {label}")
        values = list(value) if field.repeated else [value]
        if not other.repeated and len(values) > 1:
            raise CaffeError(f"{where}: {label} has {len(values)} values, in {schema} it has one")
        for number, item in enumerate(values):
            if field.kind == "message":
                inner = getattr(target, field.name).add() if other.repeated else getattr(target, field.name)
                inner.SetInParent()
                if field.message.name == "BlobProto":  # with the same numbers in all dialects
                    inner.MergeFromString(item.SerializeToString())
                else:
                    copy(item, inner, _inside(where, label, item, number), schema)
            else:
                place = f"{where}: {label}"
                _set(target, other, _converted(item, field, other, place, schema), place, schema)


def _inside(where: str, label: str, item: Any, number: int) -> str:
    """Return the location of a layer; other messages keep that of their layer."""
    if not label.endswith((".layer", ".layers")):
        return where
    return f"{where}: layer '{item.name}'" if getattr(item, "name", "") else f"{where}: layer {number + 1}"


def _set(target: Any, field: Field, value: Any, where: str, schema: str) -> None:
    if field.kind in ("uint32", "uint64") and value < 0:
        raise CaffeError(f"{where} is {value}, in {schema} it cannot be negative")
    if field.repeated:
        getattr(target, field.name).append(value)
    else:
        setattr(target, field.name, value)


def _converted(value: Any, field: Field, other: Field, where: str, schema: str) -> Any:
    """Return the number of an enum value in the other schema; other scalars are equal in all schemas."""
    if field.kind != "enum":
        return value
    name = field.names[value]
    if name not in other.enum:
        raise CaffeError(f"{where}: {schema} has no value {name}")
    return other.enum[name]
