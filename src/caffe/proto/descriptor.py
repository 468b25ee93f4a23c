"""Parse caffe.proto (a subset of proto2) to a FileDescriptorProto, without generated code."""

from __future__ import annotations

import re
from typing import Any

from google.protobuf import descriptor_pb2

_TOKEN = re.compile(r'\s+|//[^\n]*|("[^"\n]*"|[A-Za-z_][\w.]*|-?[0-9.][\w.+-]*|[{}\[\]=;,])')
_LABELS = {"optional": 1, "required": 2, "repeated": 3}
SCALARS = {
    "double": 1, "float": 2, "int64": 3, "uint64": 4, "int32": 5, "bool": 8, "string": 9,
    "bytes": 12, "uint32": 13,
}  # fmt: skip
_MESSAGE, _ENUM = 11, 14


def read(text: str, filename: str = "caffe.proto", additions: str = "") -> descriptor_pb2.FileDescriptorProto:
    """Parse a .proto text to its descriptor; raise ValueError with the line of an unsupported construct.

    `additions` is a second .proto text (forks.proto), whose fields and values are added to the messages and enums of
    the same names.
    """
    file = descriptor_pb2.FileDescriptorProto(name=filename)
    for part, name in ((text, filename), (additions, "forks.proto")):
        reader = _Reader(part, name)
        while reader.next:
            reader.declaration(file)
    _resolve_types(file)
    return file


class _Reader:
    """Recursive-descent parser; every method reads one construct and sets `next` to the token after it."""

    def __init__(self, text: str, filename: str):
        self._text, self._filename, self._end = text, filename, 0
        self.next = ""
        self.take()

    def take(self, *expected: str) -> str:
        token = self.next
        if expected and token not in expected:
            raise self._error(f"expected {' or '.join(expected)}, received {token!r}")
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

    def _error(self, text: str) -> ValueError:
        line = self._text.count("\n", 0, self._end) + 1
        return ValueError(f"{self._filename}:{line}: {text}")

    def declaration(self, file: descriptor_pb2.FileDescriptorProto) -> None:
        keyword = self.take("syntax", "package", "message", "enum")
        if keyword == "message":
            self.message(file.message_type)
        elif keyword == "enum":
            self.enum(file.enum_type)
        else:
            if keyword == "syntax":
                self.take("=")
                file.syntax = self.take('"proto2"').strip('"')
            else:
                file.package = self.take()
            self.take(";")

    def message(self, messages: Any) -> None:
        message = _named(messages, self.take())
        self.take("{")
        while self.next != "}":
            keyword = self.take("enum", "message", *_LABELS)
            if keyword == "enum":
                self.enum(message.enum_type)
            elif keyword == "message":
                self.message(message.nested_type)
            else:
                self.field(message.field.add(), _LABELS[keyword])
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
        type_name = self.take()
        if type_name in SCALARS:
            field.type = SCALARS[type_name]
        else:
            field.type_name = type_name
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
    """Return the message or enum `name`; it is added if it does not exist."""
    for declaration in declarations:
        if declaration.name == name:
            return declaration
    return declarations.add(name=name)


def _resolve_types(file: descriptor_pb2.FileDescriptorProto) -> None:
    """Replace type names by full names (.caffe.PoolingParameter.PoolMethod), searched from the innermost scope."""
    types: dict[str, int] = {}
    root = "." + file.package
    for enum in file.enum_type:
        types[f"{root}.{enum.name}"] = _ENUM
    for message in file.message_type:
        _list_types(message, root, types)
    for message in file.message_type:
        _resolve_fields(message, root, types)


def _list_types(message: descriptor_pb2.DescriptorProto, scope: str, types: dict[str, int]) -> None:
    scope = f"{scope}.{message.name}"
    types[scope] = _MESSAGE
    for enum in message.enum_type:
        types[f"{scope}.{enum.name}"] = _ENUM
    for nested in message.nested_type:
        _list_types(nested, scope, types)


def _resolve_fields(message: descriptor_pb2.DescriptorProto, scope: str, types: dict[str, int]) -> None:
    scope = f"{scope}.{message.name}"
    for field in message.field:
        if field.type_name:
            outer, name = scope, f"{scope}.{field.type_name}"
            while name not in types:
                if not outer:
                    raise ValueError(f"{scope}.{field.name}: unknown type {field.type_name}")
                outer = outer.rpartition(".")[0]
                name = f"{outer}.{field.type_name}"
            field.type_name, field.type = name, types[name]
    for nested in message.nested_type:
        _resolve_fields(nested, scope, types)
