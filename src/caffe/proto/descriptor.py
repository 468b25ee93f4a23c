"""Parse caffe.proto (a subset of proto2) to a FileDescriptorProto, without generated code."""

from __future__ import annotations

import re
from typing import Any

from google.protobuf import descriptor_pb2

# A field is one token, because almost all of a schema is fields and every program reads it when it starts.
_FIELD = r"(optional|required|repeated)\s+([\w.]+)\s+(\w+)\s*=\s*(\d+)\s*(?:\[((?:\"[^\"\n]*\"|[^\]\"])*)\]\s*)?;"
_TOKEN = re.compile(
    rf'(?:\s|//[^\n]*\n?)*(?:{_FIELD}|("[^"\n]*"|[A-Za-z_][\w.]*|-?[0-9.][\w.+-]*|[{{}}\[\]=;,])|(\S)|$)'
)
_OPTION = re.compile(r'\s*(default|packed)\s*=\s*("[^"\n]*"|[\w.+-]+)\s*(?:,|$)')
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
        _Reader(part, name).file(file)
    _resolve_types(file)
    return file


class _Reader:
    """Recursive-descent parser; every method reads one construct and sets `next` to the token after it."""

    def __init__(self, text: str, filename: str):
        self._text, self._filename = text, filename
        self._matches = list(_TOKEN.finditer(text))
        self._at = -1
        self._advance()

    def _advance(self) -> None:
        """Set `next` to the next token, "" at the end; a whole field is its label, with its parts in `parts`."""
        self._at = min(self._at + 1, len(self._matches) - 1)
        *self.parts, token, unknown = self._matches[self._at].groups()
        if unknown:
            raise self._error(f"unknown character {unknown!r}")
        self.next = self.parts[0] or token or ""

    def take(self, *expected: str) -> str:
        token = self.next
        if expected and token not in expected:
            raise self._error(f"expected {' or '.join(expected)}, received {token!r}")
        self._advance()
        return token

    def _error(self, text: str) -> ValueError:
        line = self._text.count("\n", 0, self._matches[self._at].end()) + 1
        return ValueError(f"{self._filename}:{line}: {text}")

    def file(self, file: descriptor_pb2.FileDescriptorProto) -> None:
        messages, enums = _by_name(file.message_type), _by_name(file.enum_type)
        while self.next:
            keyword = self.take("syntax", "package", "message", "enum")
            if keyword == "message":
                self.message(file.message_type, messages)
            elif keyword == "enum":
                self.enum(file.enum_type, enums)
            else:
                if keyword == "syntax":
                    self.take("=")
                    file.syntax = self.take('"proto2"').strip('"')
                else:
                    file.package = self.take()
                self.take(";")

    def message(self, messages: Any, known: dict[str, Any]) -> None:
        """Read a message; one of `known` gets more members."""
        name = self.take()
        message = known[name] if name in known else messages.add(name=name)
        self.take("{")
        while self.next != "}":
            if self.next in _LABELS:
                self.field(message.field)
            elif self.take("enum", "message", *_LABELS) == "enum":
                self.enum(message.enum_type, _by_name(message.enum_type))
            else:
                self.message(message.nested_type, _by_name(message.nested_type))
        self.take("}")

    def enum(self, enums: Any, known: dict[str, Any]) -> None:
        """Read an enum; one of `known` gets more values."""
        name = self.take()
        enum = known[name] if name in known else enums.add(name=name)
        self.take("{")
        while self.next != "}":
            name = self.take()
            self.take("=")
            enum.value.add(name=name, number=int(self.take()))
            self.take(";")
        self.take("}")

    def field(self, fields: Any) -> None:
        label, type_name, name, number, options = self.parts
        if label is None:
            raise self._error(f"expected `{self.next} TYPE NAME = NUMBER [default = VALUE];`")
        if type_name in SCALARS:
            field = fields.add(label=_LABELS[label], name=name, number=int(number), type=SCALARS[type_name])
        else:
            field = fields.add(label=_LABELS[label], name=name, number=int(number), type_name=type_name)
        if options is not None:
            self.options(field, options)
        self._advance()

    def options(self, field: descriptor_pb2.FieldDescriptorProto, text: str) -> None:
        end = 0
        while end < len(text):
            match = _OPTION.match(text, end)
            if match is None:
                raise self._error(f"expected `default = VALUE` or `packed = true`, received '{text[end:].strip()}'")
            if match[1] == "default":
                field.default_value = match[2].strip('"')
            else:
                field.options.packed = match[2] == "true"
            end = match.end()


def _by_name(declarations: Any) -> dict[str, Any]:
    return {declaration.name: declaration for declaration in declarations}


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
