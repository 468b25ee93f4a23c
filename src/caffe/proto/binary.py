"""Reads binary messages that carry blobs: the numbers become views of the file, protobuf gets the rest.

A .caffemodel is almost all numbers. To hand them to protobuf would copy each, and to ask them back would make
Python floats; so the wire format is walked here, guided by the schema, down to each BlobProto.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError

from caffe.data import wire_format
from caffe.errors import CaffeError
from caffe.proto import caffe_pb2
from caffe.proto.blobs import MAX_PLAIN_BYTES, StoredBlob, read_blob
from caffe.proto.field_tables import Field, table

MAX_MESSAGES = 100_000  # layers and blobs; a net of a thousand layers has some 5,000
_BLOB = caffe_pb2.BlobProto.DESCRIPTOR.full_name
_WIRE = {
    "float": wire_format.FIXED32,
    "double": wire_format.FIXED64,
    "string": wire_format.BYTES,
    "bytes": wire_format.BYTES,
}

_KINDS = {"NetParameter": ".caffemodel", "SolverState": ".solverstate"}

Path = tuple[Any, ...]


def open_view(path: str) -> memoryview:
    """Return the bytes of a file, mapped where possible: read when used, private to us when written."""
    try:
        with open(path, "rb") as stream:
            try:
                return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY))
            except (ValueError, OSError):  # an empty file, a pipe
                return memoryview(bytearray(stream.read()))
    except OSError as problem:
        raise CaffeError(f"{path}: cannot be read ({problem.strerror})") from None


# What weights need of a net. All else is opaque: forks gave the same numbers other meanings and types.
_OF_WEIGHTS = {
    "NetParameter": {"name", "layer", "layers"},
    "LayerParameter": {"name", "type", "blobs"},
    "V1LayerParameter": {"name", "layer", "blobs"},
    "V0LayerParameter": {"name", "type", "blobs"},
}


def read(view: memoryview, message: Any, filename: str, weights_only: bool = False) -> dict[Path, list[StoredBlob]]:
    """Fill `message` with all but its blobs, and return these by the path of the message that holds them.

    A path is made of field names and indices: ("layer", 3) for NetParameter.layer[3].blobs, () for the root.
    `weights_only` reads no more of a net than the layers' names, types and blobs, whatever fork wrote it.
    Raises CaffeError, with the file and the offset or the layer, for bytes that are no such message.
    """
    if not len(view):
        raise CaffeError(f"{filename}: the file is empty")
    return _Reader(filename, _OF_WEIGHTS if weights_only else {}).read(view, message)


def parse_whole(view: memoryview, message: Any, filename: str) -> None:
    """Fill `message` with all of it, blobs too, by protobuf: slower, and copied; for tools that rewrite."""
    try:
        message.ParseFromString(bytes(view))
    except (DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise CaffeError(f"{filename}: damaged ({problem})") from None


class _Reader:
    def __init__(self, filename: str, wanted: dict[str, set[str]]):
        self._filename = filename
        self._wanted = wanted  # by message: the fields to read; all of them in other messages
        self._messages = 0
        self._plain_bytes = 0
        self._blobs: dict[Path, list[StoredBlob]] = {}

    def read(self, view: memoryview, message: Any) -> dict[Path, list[StoredBlob]]:
        self._message(view, 0, message, ())
        for field, value in _not_text(message):
            raise CaffeError(f"{self._filename}: its {field} is not UTF-8: {value!r}")
        return self._blobs

    def _error(self, offset: int, what: str) -> CaffeError:
        return CaffeError("%s: byte %d: %s" % (self._filename, offset, what))

    def _message(self, view: memoryview, offset: int, message: Any, path: Path) -> None:
        """Read one message that may hold blobs; `offset` is where in the file its bytes begin."""
        known = table(message.DESCRIPTOR)
        plain, blobs, begin, at = [], [], 0, 0
        while at < len(view):
            try:
                number, kind, value, end = wire_format.field(view, at)
            except wire_format.WireError as problem:
                raise self._error(offset + at, f"{known.name} is damaged: {problem}") from None
            field = known.by_number.get(number)
            if known.name in self._wanted and (field is None or field.name not in self._wanted[known.name]):
                plain.append(view[begin:at])
                begin = at = end
                continue
            self._check_kind(field, kind, offset + at, known.name)
            if field and not isinstance(value, int) and field.kind == "message" and _carries(field):
                plain.append(view[begin:at])
                begin, inside = end, offset + end - len(value)
                self._count(inside)
                if field.message.full_name == _BLOB:
                    blobs.append((value, inside))
                else:
                    self._submessage(value, inside, message, field, path)
            at = end
        plain.append(view[begin:])
        self._merge(message, b"".join(plain), offset, known.name)
        if blobs:
            self._read_blobs(blobs, message, path)

    def _submessage(self, view: memoryview, offset: int, message: Any, field: Field, path: Path) -> None:
        inner = getattr(message, field.name)
        if field.repeated:
            path = (*path, field.name, len(inner))
            inner = inner.add()
        else:
            path = (*path, field.name)
            inner.SetInParent()
        self._message(view, offset, inner, path)

    def _merge(self, message: Any, data: bytes, offset: int, name: str) -> None:
        self._plain_bytes += len(data)
        if self._plain_bytes > MAX_PLAIN_BYTES:
            raise self._error(offset, "more than %d bytes beside the weights" % MAX_PLAIN_BYTES)
        try:
            message.MergeFromString(data)
        except (DecodeError, UnicodeDecodeError, RecursionError) as problem:
            raise self._error(offset, f"{name} is damaged ({problem})") from None

    def _read_blobs(self, blobs: list[tuple[memoryview, int]], message: Any, path: Path) -> None:
        label = _label(message)
        found = self._blobs.setdefault(path, [])
        for view, offset in blobs:
            where = "%s: byte %d: %sblob %d" % (self._filename, offset, label, len(found))
            found.append(read_blob(view, where))

    def _count(self, offset: int) -> None:
        self._messages += 1
        if self._messages > MAX_MESSAGES:
            raise self._error(offset, "more than %d layers and blobs" % MAX_MESSAGES)

    def _check_kind(self, field: Field | None, kind: int, offset: int, name: str) -> None:
        """Refuse a known field in a form it cannot have: the file is of another kind (a mean, a state)."""
        if field is None:
            return
        expected = wire_format.BYTES if field.kind == "message" else _WIRE.get(field.kind, wire_format.VARINT)
        if kind != expected and not (field.repeated and kind == wire_format.BYTES):
            wanted = _KINDS.get(name, "sound file")
            raise self._error(offset, f"this is no {wanted} ({name}.{field.name} looks otherwise)")


def _not_text(message: Any) -> Iterator[tuple[str, bytes]]:
    """Yield (field, value) of strings that are not UTF-8: protobuf gives these out as bytes."""
    known = table(message.DESCRIPTOR).by_number
    for descriptor, value in message.ListFields():
        field = known[descriptor.number]
        if field.kind not in ("message", "string"):
            continue
        for item in value if field.repeated else (value,):
            if field.kind == "message":
                yield from _not_text(item)
            elif isinstance(item, bytes):
                yield f"{message.DESCRIPTOR.name}.{field.name}", item


def _label(message: Any) -> str:
    return f"layer '{message.name}', " if hasattr(message, "name") else ""


_carriers: dict[str, bool] = {}


def _carries(field: Field) -> bool:
    """Whether messages of the field's type are blobs or can hold some."""
    name = field.message.full_name
    if name not in _carriers:
        _carriers[name] = name == _BLOB or any(
            inner.kind == "message" and _carries(inner) for inner in table(field.message).by_number.values()
        )
    return _carriers[name]
