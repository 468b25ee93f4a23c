"""Reads MYRIAD blobs (OpenVINO 2020 to 2022): inputs, outputs, stages, processing units and memory.

The layout is a 52-byte ELF-like header, a header of twenty 32-bit words, and four sections (inputs, outputs, stages,
constants) at the offsets in the header. Files from OpenVINO's CACHE_DIR start with one line of XML.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from caffe.errors import CaffeError
from caffe.utils.input_file import read_bytes
from ncs.errors import NcsError
from ncs.myriad.stage_kinds import DMA, HW, KINDS, SHAVE, UNITS

MAGIC = 0x25ED
MAX_BLOB = 1 << 30  # bytes
ELF_SIZE = 52
_ELF_MAGIC = b"\x7felf"
_STAGE_MAGIC = 0x7F83FF19
_MAX_AXES = 8
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
    """A tensor of a blob: sizes and strides (bytes) from the outermost axis, with the axes named by `order` (NCHW)."""

    name: str
    dtype: str
    order: str
    dims: tuple[int, ...]
    strides: tuple[int, ...]
    location: str
    offset: int

    @property
    def shape_text(self) -> str:
        """The shape as text: 1x3x227x227."""
        return "x".join(map(str, self.dims))


@dataclass(frozen=True)
class Stage:
    """An operation on the device: kind, processing unit, number of SHAVE cores, size in bytes, and tensors."""

    kind: str
    unit: str
    shaves: int
    size: int
    tensors: tuple[Tensor, ...]


@dataclass(frozen=True)
class Blob:
    """The contents of a blob; sizes in bytes. `prefix` is the XML line of a CACHE_DIR file, else empty."""

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
        """Return stage kind -> number of stages, most frequent first."""
        return dict(collections.Counter(stage.kind for stage in self.stages).most_common())

    def unit_counts(self) -> dict[str, int]:
        """Return processing unit -> number of stages."""
        return dict(collections.Counter(stage.unit for stage in self.stages).most_common())

    @property
    def platform(self) -> str:
        """The chip it was compiled for, as far as the blob shows."""
        if HW in self.units:
            return "Myriad X (MA2480)"
        return "Myriad 2 (MA2450), or Myriad X without its hardware units"

    def to_json(self) -> dict:
        """Return plain dicts and lists for json.dump."""
        values = dataclasses.asdict(self)
        values.update(platform=self.platform, stage_counts=self.counts(), unit_counts=self.unit_counts())
        return values


def read_blob(path: str | os.PathLike) -> Blob:
    """Read a blob file. Raises NcsError if it is not a valid blob."""
    try:
        content = read_bytes(path, MAX_BLOB)
    except CaffeError as error:
        raise NcsError(str(error)) from None
    try:
        return parse_blob(content)
    except NcsError as error:
        raise NcsError(f"{os.fspath(path)}: {error}") from None


def parse_blob(content: bytes) -> Blob:
    """Parse the bytes of a blob. Raises NcsError if they are not a valid blob."""
    prefix, content = _split_prefix(content)
    reader = _Reader(content)
    header = _read_header(reader)
    reader.constants_at = header["constants_at"]
    inputs = _read_tensors(reader, header, "inputs")
    outputs = _read_tensors(reader, header, "outputs")
    stages = _read_stages(reader, header)
    flags = ((HW, "has_hw"), (SHAVE, "has_shave"), (DMA, "has_dma"))
    units = tuple(unit for unit, key in flags if header[key])
    return Blob(
        f"{header['major']}.{header['minor']}",
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
        received = reader.content[:4].hex(" ")
        raise NcsError(f"not a MYRIAD blob (expected the first bytes 7f 65 6c 66, received {received})")
    header = dict(zip(_HEADER, reader.words(ELF_SIZE, len(_HEADER))))
    if header["magic"] != MAGIC:
        raise NcsError("magic number {:#x} doesn't match graph_transformer ({:#x})".format(header["magic"], MAGIC))
    if header["major"] != 6:
        raise NcsError(
            "The version of imported blob doesn't match graph_transformer: "
            f"{header['major']}.{header['minor']}, must be 6.x"
        )
    if header["file_size"] != len(reader.content):
        raise NcsError(
            f"the blob has {len(reader.content)} bytes, according to its header {header['file_size']}: "
            "it is truncated or has trailing data"
        )
    for name in ("inputs", "outputs", "stages", "constants"):
        offset = header[name + "_at"]
        if not ELF_SIZE + 4 * len(_HEADER) <= offset <= len(reader.content):
            raise NcsError(f"the section of the {name} is outside the file (offset {offset})")
    return header


def _read_tensors(reader: _Reader, header: dict[str, int], section: str) -> tuple[Tensor, ...]:
    position, tensors = header[section + "_at"], []
    for number in range(_check_count(header[section + "_count"], reader, section)):
        index, offset, length = reader.words(position, 3)
        if index != number:
            raise NcsError(f"{section}: expected index {number}, received {index}")
        name = reader.bytes(position + 12, length).split(b"\0")[0].decode("utf-8", "replace")
        position += 12 + length
        dtype, order, dims, strides = _read_descriptor(reader, position)
        tensors.append(Tensor(name, dtype, order, dims, strides, section[:-1], offset))
        position += 28
    return tuple(tensors)


def _check_count(count: int, reader: _Reader, section: str) -> int:
    if count > len(reader.content) // 12:
        raise NcsError(f"{count} {section} do not fit into a file of {len(reader.content)} bytes")
    return count


def _read_descriptor(reader: _Reader, position: int) -> tuple[str, str, tuple[int, ...], tuple[int, ...]]:
    """Return (type, order, sizes, strides) of a tensor descriptor of seven words."""
    dtype, code, count, dims_location, dims_at, strides_location, strides_at = reader.words(position, 7)
    order = _axis_order(code)
    if dtype not in _DTYPES or not order or len(order) != count:
        raise NcsError(f"offset {position}: not a tensor descriptor (type {dtype}, order {code:#x}, {count} axes)")
    if dims_location != _BLOB_LOCATION or strides_location != _BLOB_LOCATION:
        raise NcsError(f"offset {position}: tensors with a dynamic shape (not in the blob) are not supported")
    start = reader.constants_at
    dims = reader.words(start + dims_at, count)[::-1]
    strides = reader.words(start + strides_at, count)[::-1]
    return _DTYPES[dtype][0], order, dims, strides


@functools.lru_cache(maxsize=256)
def _axis_order(code: int) -> str:
    """Return NCHW for 0x4321: one digit per axis, the innermost lowest; "" if the code is invalid."""
    letters = ""
    while code and len(letters) < _MAX_AXES:
        digit = code & 15
        letters = (_AXES[digit] if 0 < digit < len(_AXES) else "?") + letters
        code >>= 4
    valid = not code and "?" not in letters and len(set(letters)) == len(letters)
    return letters if valid else ""


def _read_stages(reader: _Reader, header: dict[str, int]) -> tuple[Stage, ...]:
    position, stages = header["stages_at"], []
    for number in range(_check_count(header["stages_count"], reader, "stages")):
        length, kind, shaves = reader.words(position, 3)
        if length < 20 or length % 4 or position + length > len(reader.content):
            raise NcsError(f"stage {number} at offset {position} has an invalid length of {length}")
        if reader.words(position + length - 8, 2) != (kind, _STAGE_MAGIC):
            raise NcsError(f"stage {number} at offset {position} does not end with its type and magic number")
        code = kind - (1 << 32) if kind >> 31 else kind
        name = KINDS.get(code, f"type {code}")
        tensors = tuple(_stage_tensors(reader, position + 12, position + length - 8))
        stages.append(Stage(name, UNITS.get(code, SHAVE), shaves, length, tensors))
        position += length
    return tuple(stages)


def _stage_tensors(reader: _Reader, position: int, end: int) -> Iterator[Tensor]:
    """Yield the tensors of a stage; they are found by their descriptors because the parameters depend on the kind."""
    words, start = reader.words(position, (end - position) // 4), position
    while position + 36 <= end:
        word = (position - start) // 4
        if words[word] not in _DTYPES or words[word + 3] != _BLOB_LOCATION or words[word + 5] != _BLOB_LOCATION:
            position += 4
            continue
        try:
            dtype, order, dims, strides = _read_descriptor(reader, position)
        except NcsError:
            position += 4
            continue
        (location,) = reader.words(position + 28, 1)
        if location >= len(_LOCATIONS) or location == 0:
            position += 4
            continue
        extra = 8 if _LOCATIONS[location] in ("input", "output") else 0  # its index and total size
        if position + 36 + extra > end:
            return
        (offset,) = reader.words(position + 32 + extra, 1)
        yield Tensor("", dtype, order, dims, strides, _LOCATIONS[location], offset)
        position += 36 + extra


class _Reader:
    """Bounds-checked access to the bytes of a blob."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.constants_at = 0

    def bytes(self, position: int, count: int) -> bytes:
        if not 0 <= position <= position + count <= len(self.content):
            raise NcsError(f"the blob ends before offset {position + count}")
        return self.content[position : position + count]

    def words(self, position: int, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}I", self.bytes(position, 4 * count))
