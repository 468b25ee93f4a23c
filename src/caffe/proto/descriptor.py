"""Reads caffe.proto, in the part of proto2 it keeps to, into a FileDescriptorProto; nothing is generated."""

from __future__ import annotations

import re
from typing import Any

from google.protobuf import descriptor_pb2

_TOKEN = re.compile(r'\s+|//[^\n]*|("[^"\n]*"|[A-Za-z_][\w.]*|-?[0-9.][\w.+-]*|[{}\[\]=;,])')
_LABELS = {"optional": 1, "required": 2, "repeated": 3}
_SCALARS = {
    "double": 1, "float": 2, "int64": 3, "uint64": 4, "int32": 5, "bool": 8, "string": 9,
    "bytes": 12, "uint32": 13,
}  # fmt: skip
_MESSAGE, _ENUM = 11, 14


def read(text: str, filename: str = "caffe.proto", additions: str = "") -> descriptor_pb2.FileDescriptorProto:
    """Return the descriptor of a .proto text; ValueError names the line of what it does not know.

    `additions` is a second .proto text: its messages and enums join those of the first that have their names.
    """
    file = descriptor_pb2.FileDescriptorProto(name=filename)
    for part, name in ((text, filename), (additions, "forks.proto")):
        reader = _Reader(part, name)
        while reader.next:
            reader.declaration(file)
    _resolve_types(file)
    return file


class _Reader:
    """A token at a time; every method reads one construct and leaves `next` behind it."""

    def __init__(self, text: str, filename: str):
        self._text, self._filename, self._end = text, filename, 0
        self.next = ""
        self.take()

    def take(self, *expected: str) -> str:
        token = self.next
        if expected and token not in expected:
            raise self._error("expected {}, received {!r}".format(" or ".join(expected), token))
        self.next = self._scan()
        return token

    def _scan(self) -> str:
        while self._end < len(self._text):
            match = _TOKEN.match(self._text, self._end)
            if match is None:
                raise self._error("unknown character")
            self._end = match.end()
            if match.group(1):
                return match.group(1)
        return ""

    def _error(self, what: str) -> ValueError:
        return ValueError("%s:%d: %s" % (self._filename, self._text.count("\n", 0, self._end) + 1, what))

    def declaration(self, file: descriptor_pb2.FileDescriptorProto) -> None:
        kind = self.take("syntax", "package", "message", "enum")
        if kind == "message":
            self.message(file.message_type)
        elif kind == "enum":
            self.enum(file.enum_type)
        else:
            if kind == "syntax":
                self.take("=")
                file.syntax = self.take('"proto2"').strip('"')
            else:
                file.package = self.take()
            self.take(";")

    def message(self, messages: Any) -> None:
        message = _named(messages, self.take())
        self.take("{")
        while self.next != "}":
            kind = self.take("enum", "message", *_LABELS)
            if kind == "enum":
                self.enum(message.enum_type)
            elif kind == "message":
                self.message(message.nested_type)
            else:
                self.field(message.field.add(), _LABELS[kind])
        self.take("}")

    def enum(self, enums: Any) -> None:
        enum = _named(enums, self.take())
        self.take("{")
        while self.next != "}":
            name = self.take()
            self.take("=")
            enum.value.add(name=name, number=int(self.take()))
            self.take(";")
        self.take("}")

    def field(self, field: descriptor_pb2.FieldDescriptorProto, label: int) -> None:
        kind = self.take()
        if kind in _SCALARS:
            field.type = _SCALARS[kind]
        else:
            field.type_name = kind
        field.label = label
        field.name = self.take()
        self.take("=")
        field.number = int(self.take())
        if self.next == "[":
            self.options(field)
        self.take(";")

    def options(self, field: descriptor_pb2.FieldDescriptorProto) -> None:
        while self.take("[", ",", "]") != "]":
            name = self.take("default", "packed")
            self.take("=")
            value = self.take()
            if name == "default":
                field.default_value = value.strip('"')
            else:
                field.options.packed = value == "true"


def _named(declarations: Any, name: str) -> Any:
    """Return the message or enum called `name`, added where there is none."""
    for declaration in declarations:
        if declaration.name == name:
            return declaration
    return declarations.add(name=name)


def _resolve_types(file: descriptor_pb2.FileDescriptorProto) -> None:
    """Write every type name in full (.caffe.PoolingParameter.PoolMethod): the nearest scope that knows it."""
    kinds: dict[str, int] = {}
    root = "." + file.package
    for enum in file.enum_type:
        kinds[f"{root}.{enum.name}"] = _ENUM
    for message in file.message_type:
        _list_types(message, root, kinds)
    for message in file.message_type:
        _resolve_fields(message, root, kinds)


def _list_types(message: descriptor_pb2.DescriptorProto, scope: str, kinds: dict[str, int]) -> None:
    scope = f"{scope}.{message.name}"
    kinds[scope] = _MESSAGE
    for enum in message.enum_type:
        kinds[f"{scope}.{enum.name}"] = _ENUM
    for nested in message.nested_type:
        _list_types(nested, scope, kinds)


def _resolve_fields(message: descriptor_pb2.DescriptorProto, scope: str, kinds: dict[str, int]) -> None:
    scope = f"{scope}.{message.name}"
    for field in message.field:
        if field.type_name:
            outer, name = scope, f"{scope}.{field.type_name}"
            while name not in kinds:
                if not outer:
                    raise ValueError(f"{scope}.{field.name}: unknown type {field.type_name}")
                outer = outer.rpartition(".")[0]
                name = f"{outer}.{field.type_name}"
            field.type_name, field.type = name, kinds[name]
    for nested in message.nested_type:
        _resolve_fields(nested, scope, kinds)
