"""Recursive-descent parser of prototxt, guided by the schema; it records every error and continues after it."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from caffe.core import glog
from caffe.errors import CaffeError, did_you_mean
from caffe.proto import fork_fields
from caffe.proto.field_tables import Field, Table, table
from caffe.proto.text import scalars
from caffe.proto.text.source_locations import SourceLocations
from caffe.proto.text.tokenizer import Scanner, TooManyErrors

MAX_MESSAGES = 200_000  # a net of a thousand layers has some 10,000
_CLOSING = {"{": "}", "<": ">"}


class _InvalidValue(Exception):
    """A token that is not a value; the parser records the error and continues after it."""


class Parser(Scanner):
    """Recursive-descent parser; the recursion is as deep as the schema nests, independent of the file."""

    def __init__(self, text: str, filename: str):
        super().__init__(text, filename)
        self._hints: dict[str, list[int]] = {}
        self._positions: dict[str, list[int]] = {}
        self._root: Table | None = None
        self._net: Any = None  # the message to fill
        self._messages = 0
        self._lost = False  # a closing brace is missing: leave all messages up to the root

    def parse(self, message: Any) -> SourceLocations:
        """Parse the whole text into `message`; raise a CaffeError that lists all errors."""
        self._root, self._net = table(message.DESCRIPTOR), message
        with contextlib.suppress(TooManyErrors):
            self._body(message, self._root, "", "")
        if self.errors:
            raise CaffeError("\n".join(self.errors))
        self._log_hints()
        locations = SourceLocations(self.filename)
        for path, positions in self._positions.items():
            locations.lines[path] = [self.line(position) for position in positions]
        return locations

    def _log_hints(self) -> None:
        if not self._hints:
            return
        parts = []
        for name, positions in self._hints.items():
            times = "" if len(positions) == 1 else f" ({len(positions)} times)"
            parts.append(f"line {self.line(positions[0])}: {name}{times}")
        text = "{}: fields of forks that do not change the results here:\n  {}"
        glog.info(text.format(self.filename, "\n  ".join(parts)), "text_format.cc:274")

    # Messages

    def _body(self, message: Any, known: Table, path: str, close: str) -> None:
        """Read fields until `close` ("" for the end of the file) is the current token."""
        seen: set[str] = set()
        while not (self.kind == "end" or (close and self.word == close and self.kind == "mark")):
            if self.kind != "name":
                self._skip_to_field(known)
                continue
            self._field(message, known, path, seen)
            if self._lost:
                if close:
                    return
                self._lost = False
            if not self.take(",") and not self._lost:
                self.take(";")

    def _skip_to_field(self, known: Table) -> None:
        """Record a token that cannot start a field, and skip to the next one that can."""
        if self.word in ("}", ">") and self.kind == "mark":
            self.error(self.at, f"'{self.word}' closes nothing that is open here")
            self.advance()
            return
        self.expected("the name of a field", known.name)
        while self.kind not in ("name", "end") and self.word not in ("}", ">"):
            self.advance()

    def _field(self, message: Any, known: Table, path: str, seen: set[str]) -> None:
        name, position = self.word, self.at
        self.advance()
        field = known.by_name.get(name)
        if field is None:
            self._unknown(name, position, known, path)
            return
        if fork_fields.is_hint(known.name, name, getattr(message, "type", "")):
            self._hints.setdefault(f"{known.name}.{name}", []).append(position)
        if not path and field.kind != "message":
            self._positions.setdefault(name, []).append(position)
        if name in seen:
            field = self._for_several(message, known, field)
        if not field.repeated:
            if name in seen:
                self.error(position, f"{known.name}.{name} is set twice; it takes one value")
            seen.add(name)
        if field.kind == "message":
            self._submessages(message, field, known, path, position)
        else:
            self._scalars(message, field, known)

    @staticmethod
    def _for_several(message: Any, known: Table, field: Field) -> Field:
        """Return the field for the values of several axes (kernel_size of 3D pooling), or `field` if there is none.

        Forks made kernel_size, stride and pad of Pooling repeated; here, the repeated fields are kernel_size_3d, ...
        """
        several = known.by_name.get(f"{field.name}_3d")
        if several is None:
            return field
        if message.HasField(field.name):
            getattr(message, several.name).append(getattr(message, field.name))
            message.ClearField(field.name)
        return several

    def _submessages(self, message: Any, field: Field, known: Table, path: str, position: int) -> None:
        self.take(":")
        if not (field.repeated and self.take("[")):
            self._submessage(message, field, known, path, position)
            return
        while not self._lost and self.kind != "end" and not self.take("]"):
            self._submessage(message, field, known, path, self.at)
            if not self.take(",") and self.word != "]" and not self._lost:
                self.expected("',' or ']'", field.name)
                return

    def _submessage(self, message: Any, field: Field, known: Table, path: str, position: int) -> None:
        close = _CLOSING.get(self.word) if self.kind == "mark" else None
        if close is None:
            self.expected("'{'", f"{known.name}.{field.name}")
            self.skip_scalar()
            return
        self.advance()
        self._messages += 1
        if self._messages > MAX_MESSAGES:
            self.error(position, f"more than {MAX_MESSAGES} messages in one file")
            raise TooManyErrors
        inner = table(field.message)
        path = path + field.name
        self._positions.setdefault(path, []).append(position)
        if field.repeated:
            values = getattr(message, field.name)
            path = f"{path}[{len(values)}]"
            value = values.add()
        else:
            value = getattr(message, field.name)
            value.SetInParent()
        self._body(value, inner, path + ".", close)
        if self._lost:
            return
        if self.kind == "end":
            self.error(position, f"{field.name} is not closed: '{close}' is missing")
            return
        self.advance()
        for name in inner.required:
            if not value.HasField(name):
                self.error(position, f"{inner.name}: the required field '{name}' is missing")

    # Values

    def _scalars(self, message: Any, field: Field, known: Table) -> None:
        if not self.take(":"):
            self.expected("':'", f"{known.name}.{field.name}")
            self.skip_value()
            return
        if self.kind == "mark" and self.word == "[" and not field.repeated:
            field = self._for_several(message, known, field)
        if self.kind == "mark" and self.word in ("{", "<") + (() if field.repeated else ("[",)):
            received = self.word + self._without_brackets()
            self.error(self.at, f"{known.name}.{field.name} takes one value, received {received}")
            self.skip_value()
        elif self.take("["):
            self._list(message, field, known)
        else:
            self._store(message, field, known)

    def _without_brackets(self) -> str:
        return ": write it without brackets, as one number" if self.word == "[" else ""

    def _list(self, message: Any, field: Field, known: Table) -> None:
        while not self.take("]"):
            self._store(message, field, known)
            if not self.take(",") and self.word != "]":
                self.expected("',' or ']'", field.name)
                return

    def _store(self, message: Any, field: Field, known: Table) -> None:
        position = self.at
        try:
            value = self._scalar(field)
        except _InvalidValue as problem:
            self.error(position, f"{known.name}.{field.name}: {problem}")
            return
        except ValueError as problem:
            if not (
                self._engine(known, field, position, str(problem)) or self._fork_type(message, known, field, position)
            ):
                self.error(position, f"{known.name}.{field.name}: {problem}{_hint(known, field)}")
            return
        if field.repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)

    def _scalar(self, field: Field) -> object:
        if self.kind == "string":
            literals = []
            while self.kind == "string":
                literals.append(self.word)
                self.advance()
            return scalars.string(field, literals)
        sign = "-" if self.take("-") else ""
        if self.kind not in ("name", "number"):
            received = self.received()
            if self.kind == "bad":
                self.advance()
            raise _InvalidValue(f"expected a value, received {received}")
        word = sign + self.word
        self.advance()
        return scalars.convert(field, word)

    def _fork_type(self, message: Any, known: Table, field: Field, position: int) -> bool:
        """Keep a V1 type of a fork, so that a net can end before the layer; return whether it is the name of one."""
        name = re.compile(r"[A-Z][A-Z0-9_]*").match(self._text, position)
        if known.name != "V1LayerParameter" or field.name != "type" or name is None:
            return False
        message.fork_type = name.group()
        return True

    def _engine(self, known: Table, field: Field, position: int, problem: str) -> bool:
        """Return whether the value is an engine of a fork; it only selects an implementation, so it is skipped."""
        if field.name != "engine" or not any(f"value {name}" in problem for name in fork_fields.ENGINES):
            return False
        self._hints.setdefault(f"{known.name}.engine of a fork", []).append(position)
        return True

    # Unknown fields

    def _unknown(self, name: str, position: int, known: Table, path: str) -> None:
        outer = self._root.by_name.get(name) if self._root and path else None
        if outer and outer.repeated and outer.kind == "message":
            self.error(position, f"'{name}' inside {known.name}: is a '}}' missing before it?")
            self._lost = True
            self.rewind(name, position)
            return
        layer = self._layer(path)
        if layer is not None and fork_fields.is_probably_fork_field(known.name, name, known.by_name):
            layer.unknown_field.append(f"{known.name}.{name} (line {self.line(position)})")
        else:
            self.error(position, f"{known.name} has no field '{name}'{_advice(name, known)}")
        self.skip_value()

    def _layer(self, path: str) -> Any:
        """Return the layer of a field path such as "layer[3].pooling_param.", or None."""
        match = re.match(r"(layers?)\[(\d+)\]\.", path)
        if match is None or self._root is None or match.group(1) not in self._root.by_name:
            return None
        return getattr(self._net, match.group(1))[int(match.group(2))]


def _advice(name: str, known: Table) -> str:
    """Suggest a similar field, or the submessages that have a field of this name."""
    similar = did_you_mean(name, known.by_name)
    if similar:
        return similar
    parents = [
        field.name
        for field in known.by_name.values()
        if field.kind == "message" and name in table(field.message).by_name
    ]
    return f"; it belongs inside {' or '.join(parents[:4])}" if parents else ""


def _hint(known: Table, field: Field) -> str:
    if field.name == "type" and known.name == "LayerParameter":
        return ' (as in layer { type: "Convolution" }; the older `layers` has names without quotes)'
    if field.name == "type" and known.name == "V1LayerParameter":
        return ' (in `layers`; the current form is layer { type: "Convolution" })'
    return ""
