"""Read binary messages with blobs: weights become views of the file, protobuf parses the rest.

A .caffemodel consists almost entirely of weights. Protobuf would copy them and return Python floats, so this module
walks the wire format, guided by the schema, down to each BlobProto.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError

from caffe.errors import CaffeError
from caffe.proto import caffe_pb2, wire_format
from caffe.proto.blobs import MAX_PLAIN_BYTES, StoredBlob, read_blob
from caffe.proto.field_tables import Field, table
from caffe.utils.input_file import read_at_most, shown

MAX_MESSAGES = 100_000  # layers and blobs; a net of a thousand layers has some 5,000
_BLOB = caffe_pb2.BlobProto.DESCRIPTOR.name  # in the package of any dialect
_WIRE_TYPES = {
    "float": wire_format.FIXED32,
    "double": wire_format.FIXED64,
    "string": wire_format.BYTES,
    "bytes": wire_format.BYTES,
}

_FILE_TYPES = {"NetParameter": ".caffemodel", "SolverState": ".solverstate"}

Path = tuple[Any, ...]


MAX_PIPED_BYTES = 1 << 30  # of a pipe or a device, which cannot be mapped


def open_view(path: str) -> memoryview:
    """Return the bytes of a file, memory-mapped copy-on-write if possible."""
    try:
        with open(path, "rb") as stream:
            try:
                return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY))
            except (ValueError, OSError):  # an empty file, a pipe
                data = bytearray(read_at_most(stream, MAX_PIPED_BYTES + 1))
    except (OSError, ValueError) as problem:  # ValueError: a null byte in the name
        raise CaffeError(f"{shown(path)}: cannot be read ({getattr(problem, 'strerror', None) or problem})") from None
    if len(data) > MAX_PIPED_BYTES:
        raise CaffeError(f"{shown(path)}: more than {MAX_PIPED_BYTES} bytes from a pipe or a device")
    return memoryview(data)


# The fields of a net that hold weights. Other fields are skipped: forks use the same numbers with other types.
_WEIGHT_FIELDS = {
    "NetParameter": {"name", "layer", "layers"},
    "LayerParameter": {"name", "type", "blobs"},
    "V1LayerParameter": {"name", "layer", "blobs"},
    "V0LayerParameter": {"name", "type", "blobs"},
}


def read(view: memoryview, message: Any, filename: str, weights_only: bool = False) -> dict[Path, list[StoredBlob]]:
    """Parse a message without its blobs, and return the blobs as views.

    Parameters
    ----------
    view : memoryview
        Serialized message.
    message : protobuf message
        Filled with everything except blobs.
    filename : str
        File name for error messages.
    weights_only : bool
        Read only names, types and blobs of the layers, so that files of every fork are accepted.

    Returns
    -------
    dict
        Path of the message that contains the blobs -> blobs. A path consists of field names and indices:
        ("layer", 3) for NetParameter.layer[3].blobs, () for the root.

    Raises
    ------
    CaffeError
        With the file and the offset or the layer, if the bytes are not such a message.
    """
    if not len(view):
        raise CaffeError(f"{filename}: the file is empty")
    return _Reader(filename, _WEIGHT_FIELDS if weights_only else {}).read(view, message)


class _Reader:
    def __init__(self, filename: str, fields: dict[str, set[str]]):
        self._filename = filename
        self._fields = fields  # message -> the fields to read; of other messages all are read
        self._messages = 0
        self._plain_bytes = 0
        self._blobs: dict[Path, list[StoredBlob]] = {}

    def read(self, view: memoryview, message: Any) -> dict[Path, list[StoredBlob]]:
        self._message(view, 0, message, ())
        for field, value in _invalid_strings(message):
            raise CaffeError(f"{self._filename}: {field} is not UTF-8: {value!r}")
        return self._blobs

    def _error(self, offset: int, text: str) -> CaffeError:
        return CaffeError(f"{self._filename}: byte {offset}: {text}")

    def _message(self, view: memoryview, offset: int, message: Any, path: Path) -> None:
        """Read one message that may contain blobs; `offset` is the position of its first byte in the file."""
        known = table(message.DESCRIPTOR)
        plain, blobs, begin, at = [], [], 0, 0
        while at < len(view):
            try:
                number, wire_type, value, end = wire_format.field(view, at)
            except wire_format.WireError as problem:
                raise self._error(offset + at, f"{known.name} is damaged: {problem}") from None
            field = known.by_number.get(number)
            if known.name in self._fields and (field is None or field.name not in self._fields[known.name]):
                plain.append(view[begin:at])
                begin = at = end
                continue
            self._check_wire_type(field, wire_type, offset + at, known.name)
            if field and not isinstance(value, int) and field.kind == "message" and _can_contain_blobs(field):
                plain.append(view[begin:at])
                begin, inside = end, offset + end - len(value)
                self._count(inside)
                if field.message.name == _BLOB:
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
            raise self._error(offset, f"more than {MAX_PLAIN_BYTES} bytes apart from the weights")
        try:
            message.MergeFromString(data)
        except (DecodeError, UnicodeDecodeError, RecursionError) as problem:
            raise self._error(offset, f"{name} is damaged ({problem})") from None

    def _read_blobs(self, blobs: list[tuple[memoryview, int]], message: Any, path: Path) -> None:
        label = _label(message)
        stored = self._blobs.setdefault(path, [])
        for view, offset in blobs:
            stored.append(read_blob(view, f"{self._filename}: byte {offset}: {label}blob {len(stored)}"))

    def _count(self, offset: int) -> None:
        self._messages += 1
        if self._messages > MAX_MESSAGES:
            raise self._error(offset, f"more than {MAX_MESSAGES} layers and blobs")

    def _check_wire_type(self, field: Field | None, wire_type: int, offset: int, name: str) -> None:
        """Reject a known field with the wrong wire type: the file is of another type (for example a mean)."""
        if field is None:
            return
        expected = wire_format.BYTES if field.kind == "message" else _WIRE_TYPES.get(field.kind, wire_format.VARINT)
        if wire_type != expected and not (field.repeated and wire_type == wire_format.BYTES):
            file_type = _FILE_TYPES.get(name, "valid file")
            raise self._error(offset, f"this is not a {file_type} ({name}.{field.name} has another type)")


def _invalid_strings(message: Any) -> Iterator[tuple[str, bytes]]:
    """Yield (field, value) of strings that are not UTF-8, which protobuf returns as bytes."""
    known = table(message.DESCRIPTOR).by_number
    for descriptor, value in message.ListFields():
        field = known[descriptor.number]
        if field.kind not in ("message", "string"):
            continue
        for item in value if field.repeated else (value,):
            if field.kind == "message":
                yield from _invalid_strings(item)
            elif isinstance(item, bytes):
                yield f"{message.DESCRIPTOR.name}.{field.name}", item


def _label(message: Any) -> str:
    return f"layer '{message.name}', " if hasattr(message, "name") else ""


_can_contain: dict[str, bool] = {}


def _can_contain_blobs(field: Field) -> bool:
    """Return whether messages of the field's type are blobs or can contain blobs."""
    name = field.message.full_name
    if name not in _can_contain:
        _can_contain[name] = field.message.name == _BLOB or any(
            inner.kind == "message" and _can_contain_blobs(inner) for inner in table(field.message).by_number.values()
        )
    return _can_contain[name]
