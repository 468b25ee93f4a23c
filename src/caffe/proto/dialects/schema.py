"""Builds the schema of a dialect from its table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from caffe.proto import descriptor

_PROTO = Path(__file__).parents[1]
_MESSAGE, _ENUM = 11, 14

Row = tuple[dict[str, tuple[int, str]], set[str]]  # field -> (number, type or ""); fields of Caffe that are absent


def net_class(table: str, name: str) -> Any:
    """Return the class NetParameter of the schema that `table` describes."""
    file = descriptor_file(table, name)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    message = pool.FindMessageTypeByName(f"{file.package}.NetParameter")
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(message)
    return message_factory.MessageFactory(pool).GetPrototype(message)


def descriptor_file(table: str, name: str) -> descriptor_pb2.FileDescriptorProto:
    """Return the descriptor of the schema that `table` describes, in a package named after the dialect."""
    caffe, forks = ((_PROTO / part).read_text(encoding="utf-8") for part in ("caffe.proto", "forks.proto"))
    known = _index(descriptor.read(caffe))
    file = descriptor.read(caffe, additions=forks)
    messages, enums = _rows(table)
    package = "dialect_" + "".join(c if c.isalnum() else "_" for c in name)
    for scope, message in _messages(file.message_type, ""):
        _adapt_message(message, messages.get(scope), known.get(scope), package)
        for enum in message.enum_type:
            _adapt_enum(enum, enums.get(f"{scope}.{enum.name}"), known.get(f"{scope}.{enum.name}"))
    for enum in file.enum_type:
        _adapt_enum(enum, enums.get(enum.name), known.get(enum.name))
    file.name, file.package = f"{name}.proto", package
    return file


def _rows(table: str) -> tuple[dict[str, Row], dict[str, Row]]:
    """Parse a table to the rows of messages and of enums."""
    messages: dict[str, Row] = {}
    enums: dict[str, Row] = {}
    for line in table.splitlines():
        words = line.split("#")[0].split()
        if not words:
            continue
        target = enums if words[0] == "enum" else messages
        words = words[1:] if words[0] == "enum" else words
        fields: dict[str, tuple[int, str]] = {}
        for word in words[1:]:
            if not word.startswith("-"):
                field, _, value = word.partition("=")
                number, _, kind = value.partition(":")
                fields[field] = (int(number), kind)
        target[words[0]] = (fields, {word[1:] for word in words[1:] if word.startswith("-")})
    return messages, enums


def _messages(messages: Any, scope: str) -> Any:
    for message in messages:
        name = f"{scope}{message.name}"
        yield name, message
        yield from _messages(message.nested_type, name + ".")


def _index(file: descriptor_pb2.FileDescriptorProto) -> dict[str, set[str]]:
    """Return the names of the members of each message and enum of Caffe."""
    found = {enum.name: {value.name for value in enum.value} for enum in file.enum_type}
    for scope, message in _messages(file.message_type, ""):
        found[scope] = {field.name for field in message.field}
        found.update((f"{scope}.{enum.name}", {value.name for value in enum.value}) for enum in message.enum_type)
    return found


def _adapt_message(message: Any, row: Row | None, of_caffe: set[str] | None, package: str) -> None:
    """Give the fields of a message the dialect's numbers and types, and remove those that it lacks."""
    fields, absent = row or ({}, set())
    whole = row is not None and not fields and of_caffe is None
    kept = []
    for field in message.field:
        if field.type_name:
            field.type_name = field.type_name.replace(".caffe.", f".{package}.", 1)
        if field.name in fields:
            field.number, kind = fields[field.name]
            _set_type(field, kind, package)
        elif not whole and (field.name in absent or field.name not in (of_caffe or ())):
            continue
        kept.append(field)
    numbers = {field.number for field in kept if field.name in fields}
    kept = [field for field in kept if field.name in fields or field.number not in numbers]
    copies = [descriptor_pb2.FieldDescriptorProto.FromString(field.SerializeToString()) for field in kept]
    del message.field[:]
    message.field.extend(copies)


def _set_type(field: Any, kind: str, package: str) -> None:
    """Set a scalar type, or an enum or message type by its name in forks.proto."""
    if not kind:
        return
    field.ClearField("default_value")
    field.ClearField("type_name")
    scalar = descriptor.SCALARS.get(kind)
    if scalar:
        field.type = scalar
    else:
        field.type = _MESSAGE if kind.endswith("Parameter") else _ENUM
        field.type_name = f".{package}.{kind}"


def _adapt_enum(enum: Any, row: Row | None, of_caffe: set[str] | None) -> None:
    """Give the values of an enum the dialect's numbers, and remove those that it lacks; an unused enum stays."""
    fields, absent = row or ({}, set())
    if of_caffe is None and not fields:
        return
    values = [
        (value.name, fields.get(value.name, (value.number, ""))[0])
        for value in enum.value
        if value.name in fields or (value.name in (of_caffe or ()) and value.name not in absent)
    ]
    del enum.value[:]
    for name, number in values:
        enum.value.add(name=name, number=number)
