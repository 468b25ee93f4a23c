"""Reads a MYRIAD blob (OpenVINO 2020 to 2022): what goes in and out, what runs where, what memory it takes.

The layout is a 52-byte ELF-like header, a header of twenty 32-bit words, and four sections (inputs, outputs,
stages, constants) whose offsets it names. Files from OpenVINO's CACHE_DIR carry one line of XML in front.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ncs.errors import NcsError
from ncs.myriad.stage_kinds import DMA, HW, KINDS, SHAVE, UNITS

MAGIC = 0x25ED
ELF_SIZE = 52
_ELF_MAGIC = b"\x7felf"
_STAGE_MAGIC = 0x7F83FF19
_MOST_AXES = 8
_AXES = "?WHCND"  # the digits of an order code, from the innermost axis outwards
_DTYPES = {0: ("FP16", 2), 1: ("U8", 1), 2: ("S32", 4), 3: ("FP32", 4), 4: ("I8", 1)}
_LOCATIONS = ("none", "input", "output", "blob", "BSS", "CMX")
_BLOB_LOCATION = 3
_HEADER = (
    "magic",
    "file_size",
    "major",
    "minor",
    "inputs_count",
    "outputs_count",
    "stages_count",
    "inputs_size",
    "outputs_size",
    "batch_size",
    "bss_size",
    "cmx_slices",
    "shaves",
    "has_hw",
    "has_shave",
    "has_dma",
    "inputs_at",
    "outputs_at",
    "stages_at",
    "constants_at",
)


@dataclass(frozen=True)
class Tensor:
    """An array a blob names: axes and strides (bytes) from the outermost on, spelt by `order` (NCHW)."""

    name: str
    dtype: str
    order: str
    dims: tuple[int, ...]
    strides: tuple[int, ...]
    location: str
    offset: int

    @property
    def shape_text(self) -> str:
        """1x3x227x227."""
        return "x".join(map(str, self.dims))


@dataclass(frozen=True)
class Stage:
    """One step of the device: its kind, the unit that runs it, its SHAVE cores, and the arrays it names."""

    kind: str
    unit: str
    shaves: int
    size: int
    tensors: tuple[Tensor, ...]


@dataclass(frozen=True)
class Blob:
    """Everything in a blob; sizes in bytes. `prefix` is the XML line of a CACHE_DIR file, else empty."""

    version: str
    file_size: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    stages: tuple[Stage, ...]
    batch_size: int
    inputs_size: int
    outputs_size: int
    bss_size: int
    constants_size: int
    cmx_slices: int
    shaves: int
    units: tuple[str, ...]
    prefix: str = ""

    def counts(self) -> dict[str, int]:
        """Stage kind -> how many, the most frequent first."""
        return dict(collections.Counter(stage.kind for stage in self.stages).most_common())

    def unit_counts(self) -> dict[str, int]:
        """Unit -> how many stages run there."""
        return dict(collections.Counter(stage.unit for stage in self.stages).most_common())

    @property
    def platform(self) -> str:
        """The chip it was compiled for, as far as a blob tells."""
        if HW in self.units:
            return "Myriad X (MA2480)"
        return "Myriad 2 (MA2450), or Myriad X without its hardware units"

    def to_json(self) -> dict:
        """Plain dicts and lists, for json.dump."""
        facts = dataclasses.asdict(self)
        facts.update(platform=self.platform, stage_counts=self.counts(), unit_counts=self.unit_counts())
        return facts


def read_blob(path: str | os.PathLike) -> Blob:
    """Read and check a blob file. Raises NcsError that names the file and the fault."""
    try:
        with open(path, "rb") as stream:
            content = stream.read()
    except OSError as error:
        raise NcsError(f"{os.fspath(path)}: {error.strerror or error}") from error
    try:
        return parse_blob(content)
    except NcsError as error:
        raise NcsError(f"{os.fspath(path)}: {error}") from None


def parse_blob(content: bytes) -> Blob:
    """Read a blob in memory; raises NcsError for anything that is not one, however it is damaged."""
    prefix, content = _split_prefix(content)
    reader = _Reader(content)
    header = _read_header(reader)
    reader.constants_at = header["constants_at"]
    inputs = _read_arrays(reader, header, "inputs")
    outputs = _read_arrays(reader, header, "outputs")
    stages = _read_stages(reader, header)
    flags = ((HW, "has_hw"), (SHAVE, "has_shave"), (DMA, "has_dma"))
    units = tuple(unit for unit, key in flags if header[key])
    return Blob(
        "%d.%d" % (header["major"], header["minor"]),
        len(content),
        inputs,
        outputs,
        stages,
        header["batch_size"],
        header["inputs_size"],
        header["outputs_size"],
        header["bss_size"],
        len(content) - header["constants_at"],
        header["cmx_slices"],
        header["shaves"],
        units,
        prefix,
    )


def _split_prefix(content: bytes) -> tuple[str, bytes]:
    if content.startswith(b"<?xml"):
        line, _, rest = content.partition(b"\n")
        return line.decode("utf-8", "replace"), rest
    return "", content


def _read_header(reader: _Reader) -> dict[str, int]:
    if not reader.content:
        raise NcsError("Blob is empty")
    if len(reader.content) < ELF_SIZE + 4 * len(_HEADER) or reader.content[:4] != _ELF_MAGIC:
        raise NcsError(
            "not a MYRIAD blob (its first bytes must be 7f 65 6c 66, received {})".format(reader.content[:4].hex(" "))
        )
    header = dict(zip(_HEADER, reader.words(ELF_SIZE, len(_HEADER))))
    if header["magic"] != MAGIC:
        raise NcsError("magic number {:#x} doesn't match graph_transformer ({:#x})".format(header["magic"], MAGIC))
    if header["major"] != 6:
        raise NcsError(
            "The version of imported blob doesn't match graph_transformer: %d.%d, must be 6.x"
            % (header["major"], header["minor"])
        )
    if header["file_size"] != len(reader.content):
        raise NcsError(
            "the blob has %d bytes, its header says %d: it is cut off or has something behind it"
            % (len(reader.content), header["file_size"])
        )
    for name in ("inputs", "outputs", "stages", "constants"):
        offset = header[name + "_at"]
        if not ELF_SIZE + 4 * len(_HEADER) <= offset <= len(reader.content):
            raise NcsError("the section of the %s lies outside the file (offset %d)" % (name, offset))
    return header


def _read_arrays(reader: _Reader, header: dict[str, int], what: str) -> tuple[Tensor, ...]:
    place, arrays = header[what + "_at"], []
    for number in range(_bounded(header[what + "_count"], reader, what)):
        index, offset, length = reader.words(place, 3)
        if index != number:
            raise NcsError("%s %d carries the number %d" % (what, number, index))
        name = reader.bytes(place + 12, length).split(b"\0")[0].decode("utf-8", "replace")
        place += 12 + length
        dtype, order, dims, strides = _description(reader, place)
        arrays.append(Tensor(name, dtype, order, dims, strides, what[:-1], offset))
        place += 28
    return tuple(arrays)


def _bounded(count: int, reader: _Reader, what: str) -> int:
    if count > len(reader.content) // 12:
        raise NcsError("%d %s cannot be in a file of %d bytes" % (count, what, len(reader.content)))
    return count


def _description(reader: _Reader, place: int) -> tuple[str, str, tuple[int, ...], tuple[int, ...]]:
    """(type, order, axes, strides) of the seven words that describe an array."""
    dtype, code, count, dims_where, dims_at, strides_where, strides_at = reader.words(place, 7)
    order = _order(code)
    if dtype not in _DTYPES or not order or len(order) != count:
        raise NcsError(
            "offset %d: not an array's description (type %d, order %#x, %d axes)" % (place, dtype, code, count)
        )
    if dims_where != _BLOB_LOCATION or strides_where != _BLOB_LOCATION:
        raise NcsError("offset %d: an array whose shape is not in the blob (dynamic) cannot be told" % place)
    start = reader.constants_at
    dims = reader.words(start + dims_at, count)[::-1]
    strides = reader.words(start + strides_at, count)[::-1]
    return _DTYPES[dtype][0], order, dims, strides


def _order(code: int) -> str:
    """NCHW of 0x4321: a digit an axis, the innermost lowest; "" when it is no order."""
    letters = ""
    while code and len(letters) < _MOST_AXES:
        digit = code & 15
        letters = (_AXES[digit] if 0 < digit < len(_AXES) else "?") + letters
        code >>= 4
    good = not code and "?" not in letters and len(set(letters)) == len(letters)
    return letters if good else ""


def _read_stages(reader: _Reader, header: dict[str, int]) -> tuple[Stage, ...]:
    place, stages = header["stages_at"], []
    for number in range(_bounded(header["stages_count"], reader, "stages")):
        length, kind, shaves = reader.words(place, 3)
        if length < 20 or length % 4 or place + length > len(reader.content):
            raise NcsError("stage %d at offset %d has the length %d" % (number, place, length))
        if reader.words(place + length - 8, 2) != (kind, _STAGE_MAGIC):
            raise NcsError("stage %d at offset %d does not end as it begins" % (number, place))
        code = kind - (1 << 32) if kind >> 31 else kind
        name = KINDS.get(code, "type %d" % code)
        tensors = tuple(_stage_arrays(reader, place + 12, place + length - 8))
        stages.append(Stage(name, UNITS.get(code, SHAVE), shaves, length, tensors))
        place += length
    return tuple(stages)


def _stage_arrays(reader: _Reader, place: int, end: int) -> Iterator[Tensor]:
    """The arrays a stage names: its parameters differ from kind to kind, an array's description does not."""
    while place + 36 <= end:
        try:
            dtype, order, dims, strides = _description(reader, place)
        except NcsError:
            place += 4
            continue
        (where,) = reader.words(place + 28, 1)
        if where >= len(_LOCATIONS) or where == 0:
            place += 4
            continue
        extra = 8 if _LOCATIONS[where] in ("input", "output") else 0  # which one, and its whole size
        if place + 36 + extra > end:
            return
        (offset,) = reader.words(place + 32 + extra, 1)
        yield Tensor("", dtype, order, dims, strides, _LOCATIONS[where], offset)
        place += 36 + extra


class _Reader:
    """Bounds-checked access to the bytes of a file."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.constants_at = 0

    def bytes(self, place: int, count: int) -> bytes:
        if not 0 <= place <= place + count <= len(self.content):
            raise NcsError("the blob ends before offset %d" % (place + count))
        return self.content[place : place + count]

    def words(self, place: int, count: int) -> tuple[int, ...]:
        return struct.unpack("<%dI" % count, self.bytes(place, 4 * count))
