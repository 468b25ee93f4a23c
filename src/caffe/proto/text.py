"""Reads prototxt into messages, and says file, line and column of everything that is wrong with it, all at once."""

from __future__ import annotations

import contextlib
from typing import Any

from caffe import log
from caffe.errors import CaffeError, did_you_mean
from caffe.proto import forks, scalars
from caffe.proto.fields import Field, Table, table
from caffe.proto.printer import format
from caffe.proto.tokens import Lines, tokens

__all__ = ["MAX_BYTES", "Places", "format", "parse"]

MAX_BYTES = 64 << 20
MAX_FAULTS = 20
_CLOSING = {"{": "}", "<": ">"}


class Places:
    """Where fields began: top-level fields, and submessages at any depth, by path and in order of appearance.

    A path names fields from the root, with an index where the outer one repeats: "layer", "layer[3].param".
    """

    def __init__(self, filename: str):
        self.filename = filename
        self.lines: dict[str, list[int]] = {}

    def at(self, path: str, index: int = 0) -> str:
        """Return "file:line" of the occurrence `index` of `path`, or the file alone where it does not occur."""
        lines = self.lines.get(path, [])
        return "%s:%d" % (self.filename, lines[index]) if index < len(lines) else self.filename

    def all(self, path: str) -> list[str]:
        """Return "file:line" of every occurrence of `path`."""
        return ["%s:%d" % (self.filename, line) for line in self.lines.get(path, [])]


def parse(text: str, message: Any, filename: str = "<text>") -> Places:
    """Read prototxt into an empty message and return where its parts began.

    Takes all that protobuf's text form has and Caffe files use: comments, optional colons before braces, < >,
    [lists], adjacent strings, escapes, enums by name or number. Fields of known forks are skipped with one
    warning. Raises CaffeError that lists every fault with file:line:column.
    """
    if len(text) > MAX_BYTES:
        raise CaffeError(
            "%s: %d characters of prototxt; at most %d are read (weights belong in a .caffemodel)"
            % (filename, len(text), MAX_BYTES)
        )
    return _Parser(text, filename).parse(message)


class _Bad(Exception):
    """A value that cannot be taken; the parser notes it and goes on behind it."""


class _Parser:
    """Recursive descent; as deep as the schema nests, so a file cannot make it deeper."""

    def __init__(self, text: str, filename: str):
        self._text = text
        self._filename = filename
        self._tokens = tokens(text)
        self._faults: list[str] = []
        self._skipped: dict[str, list[int]] = {}
        self._positions: dict[str, list[int]] = {}
        self._lines: Lines | None = None
        self._root: Table | None = None
        self._lost = False  # a closing brace is missing: leave all messages up to the root
        self._advance()

    def parse(self, message: Any) -> Places:
        self._root = table(message.DESCRIPTOR)
        with contextlib.suppress(_TooMany):
            self._body(message, self._root, "", "")
        if self._faults:
            raise CaffeError("\n".join(self._faults))
        self._warn()
        places = Places(self._filename)
        for path, positions in self._positions.items():
            places.lines[path] = [self._line(position) for position in positions]
        return places

    # Places, faults and warnings

    def _line(self, position: int) -> int:
        if self._lines is None:
            self._lines = Lines(self._text)
        return self._lines.line(position)

    def _fault(self, position: int, what: str) -> None:
        line = self._line(position)
        column = self._lines.column(position) if self._lines else 0
        self._faults.append("%s:%d:%d: %s" % (self._filename, line, column, what))
        if len(self._faults) >= MAX_FAULTS:
            self._faults.append("%s: further faults are not shown" % self._filename)
            raise _TooMany

    def _warn(self) -> None:
        if not self._skipped:
            return
        parts = []
        for name, positions in self._skipped.items():
            times = "" if len(positions) == 1 else " (%d times)" % len(positions)
            parts.append("line %d: %s%s" % (self._line(positions[0]), name, times))
        log.warning(
            "%s: fields that BVLC Caffe does not have are skipped:\n  %s" % (self._filename, "\n  ".join(parts)),
            "upgrade_proto.cpp:1",
        )

    # Tokens

    def _advance(self) -> None:
        self._kind, self._word, self._at = next(self._tokens, ("end", "", len(self._text)))

    def _take(self, mark: str) -> bool:
        if self._word == mark and self._kind == "mark":
            self._advance()
            return True
        return False

    def _received(self) -> str:
        if self._kind == "end":
            return "the end of the file"
        if self._kind == "bad" and self._word in "\"'":
            return "a string that is not closed on its line"
        return ascii(self._word) if self._kind == "bad" else self._word

    # Messages

    def _body(self, message: Any, known: Table, path: str, close: str) -> None:
        """Read fields up to `close` ("" for the end of the file), which is left as the current token."""
        seen: set[str] = set()
        while not (self._kind == "end" or (close and self._word == close and self._kind == "mark")):
            if self._kind != "name":
                self._stray(known)
                continue
            self._field(message, known, path, seen)
            if self._lost:
                if close:
                    return
                self._lost = False
            if not self._take(",") and not self._lost:
                self._take(";")

    def _stray(self, known: Table) -> None:
        """Note a token that cannot begin a field and go on at the next that can."""
        if self._word in ("}", ">") and self._kind == "mark":
            self._fault(self._at, "'%s' closes nothing that is open here" % self._word)
            self._advance()
            return
        self._fault(self._at, "expected a field of %s, received %s" % (known.name, self._received()))
        while self._kind not in ("name", "end") and self._word not in ("}", ">"):
            self._advance()

    def _field(self, message: Any, known: Table, path: str, seen: set[str]) -> None:
        name, position = self._word, self._at
        self._advance()
        field = known.by_name.get(name)
        if field is None:
            self._unknown(name, position, known, path)
            return
        if not path or field.kind == "message":
            self._positions.setdefault(path + name, []).append(position)
        if not field.repeated:
            if name in seen:
                self._fault(position, "%s.%s is given twice; it takes one value" % (known.name, name))
            seen.add(name)
        if field.kind == "message":
            self._submessages(message, field, known, path, position)
        else:
            self._scalars(message, field, known)

    def _submessages(self, message: Any, field: Field, known: Table, path: str, position: int) -> None:
        self._take(":")
        if not (field.repeated and self._take("[")):
            self._submessage(message, field, known, path, position)
            return
        while not self._lost and self._kind != "end" and not self._take("]"):
            self._submessage(message, field, known, path, self._at)
            if not self._take(",") and self._word != "]" and not self._lost:
                self._fault(self._at, "expected ',' or ']' in %s, received %s" % (field.name, self._received()))
                return

    def _submessage(self, message: Any, field: Field, known: Table, path: str, position: int) -> None:
        close = _CLOSING.get(self._word) if self._kind == "mark" else None
        if close is None:
            self._fault(
                self._at, "%s.%s: expected '{', received %s" % (known.name, field.name, self._received())
            )
            self._skip_scalar()
            return
        self._advance()
        inner = table(field.message)
        path = path + field.name
        if field.repeated:
            values = getattr(message, field.name)
            path = "%s[%d]" % (path, len(values))
            value = values.add()
        else:
            value = getattr(message, field.name)
            value.SetInParent()
        self._body(value, inner, path + ".", close)
        if self._lost:
            return
        if self._kind == "end":
            self._fault(position, "%s is not closed: '%s' is missing" % (field.name, close))
            return
        self._advance()
        for name in inner.required:
            if not value.HasField(name):
                self._fault(position, "%s: the required field '%s' is missing" % (inner.name, name))

    # Values

    def _scalars(self, message: Any, field: Field, known: Table) -> None:
        if not self._take(":"):
            self._fault(
                self._at, "%s.%s: expected ':', received %s" % (known.name, field.name, self._received())
            )
            self._skip_value()
            return
        if self._word in ("[", "{", "<") and self._kind == "mark" and not (field.repeated and self._word == "["):
            self._fault(self._at, "%s.%s takes one value, received %s" % (known.name, field.name, self._word))
            self._skip_value()
        elif self._take("["):
            self._list(message, field, known)
        else:
            self._store(message, field, known)

    def _list(self, message: Any, field: Field, known: Table) -> None:
        while not self._take("]"):
            self._store(message, field, known)
            if not self._take(",") and self._word != "]":
                self._fault(self._at, "expected ',' or ']' in %s, received %s" % (field.name, self._received()))
                return

    def _store(self, message: Any, field: Field, known: Table) -> None:
        position = self._at
        try:
            value = self._scalar(field)
        except _Bad as problem:
            self._fault(position, "%s.%s: %s" % (known.name, field.name, problem))
            return
        except ValueError as problem:
            if not self._engine(known, field, position, str(problem)):
                self._fault(position, "%s.%s: %s%s" % (known.name, field.name, problem, _hint(known, field)))
            return
        if field.repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)

    def _scalar(self, field: Field) -> object:
        if self._kind == "string":
            literals = []
            while self._kind == "string":
                literals.append(self._word)
                self._advance()
            return scalars.string(field, literals)
        sign = "-" if self._take("-") else ""
        if self._kind not in ("name", "number"):
            raise _Bad("expected a value, received %s" % self._received())
        word = sign + self._word
        self._advance()
        return scalars.convert(field, word)

    def _engine(self, known: Table, field: Field, position: int, problem: str) -> bool:
        """Whether the unknown value is an engine of a fork; it chooses an implementation, so it is skipped."""
        if field.name != "engine" or not any("value %s" % name in problem for name in forks.ENGINES):
            return False
        self._skipped.setdefault("%s.engine of a fork" % known.name, []).append(position)
        return True

    # What is not known

    def _unknown(self, name: str, position: int, known: Table, path: str) -> None:
        fork = forks.origin(known.name, name)
        if fork:
            self._skipped.setdefault("%s.%s of %s" % (known.name, name, fork), []).append(position)
            self._skip_value()
            return
        outer = self._root.by_name.get(name) if self._root and path else None
        if outer and outer.repeated and outer.kind == "message":
            self._fault(position, "'%s' inside %s: is a '}' missing before it?" % (name, known.name))
            self._lost = True
            self._rewind(name, position)
            return
        self._fault(position, "%s has no field '%s'%s" % (known.name, name, _advice(name, known)))
        self._skip_value()

    def _rewind(self, name: str, position: int) -> None:
        """Make `name` the current token again, so that the root reads it."""
        following = (self._kind, self._word, self._at)
        rest = self._tokens

        def again():
            yield following
            yield from rest

        self._tokens = again()
        self._kind, self._word, self._at = "name", name, position

    def _skip_value(self) -> None:
        """Go behind the value of a field that is not taken: a scalar, a list, or a message with all that is in it."""
        self._take(":")
        if self._kind == "mark" and self._word in "{<[":
            self._skip_nested()
        else:
            self._skip_scalar()

    def _skip_scalar(self) -> None:
        if self._kind == "string":
            while self._kind == "string":
                self._advance()
            return
        self._take("-")
        if self._kind in ("name", "number", "bad"):
            self._advance()

    def _skip_nested(self) -> None:
        position, depth = self._at, 0
        while self._kind != "end":
            if self._kind == "mark":
                depth += (self._word in "{<[") - (self._word in "}>]")
            self._advance()
            if depth == 0:
                return
        self._fault(position, "this is not closed before the end of the file")


class _TooMany(Exception):
    """The bound on faults is reached."""


def _advice(name: str, known: Table) -> str:
    """Return what was probably meant: a similar field, or the part of the message where the field lives."""
    similar = did_you_mean(name, known.by_name)
    if similar:
        return similar
    homes = [
        field.name
        for field in known.by_name.values()
        if field.kind == "message" and name in table(field.message).by_name
    ]
    return "; it belongs inside %s" % " or ".join(homes[:4]) if homes else ""


def _hint(known: Table, field: Field) -> str:
    if field.name == "type" and known.name == "LayerParameter":
        return ' (as in layer { type: "Convolution" }; names without quotes belong to the older `layers`)'
    if field.name == "type" and known.name == "V1LayerParameter":
        return ' (in `layers`; the newer form is layer { type: "Convolution" })'
    return ""
