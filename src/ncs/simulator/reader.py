"""Reads a MYRIAD blob with the parameters of its stages: what the chip's firmware would be given to run.

`ncs.myriad.blob` reads a blob for people; this reads the same bytes for execution. Every tensor is checked against the
memory it lies in before anything is allocated.
"""

from __future__ import annotations

import struct
from typing import Iterator  # noqa: UP035 - a board's Python is 3.7

from ncs.errors import NcsError
from ncs.myriad.blob import ELF_SIZE, MAGIC
from ncs.myriad.stage_kinds import KINDS
from ncs.simulator.operations import operations_end
from ncs.simulator.program import DTYPES, Port, Program, StageRecord, TensorRef

MYRIAD_X_UNIT = 38  # the stage kind of the convolution engines, which Myriad 2 does not have
STAGE_END = 0x7F83FF19
MOST_MEMORY = 1 << 29  # bytes of DDR on a stick
CMX_SLICE = 1 << 17
MOST_SLICES = 20
MOST_AXES = 8
MOST_BATCH = 4096
LOCATIONS = ("none", "input", "output", "blob", "BSS", "CMX")
_AXES = "?WHCNDABX"  # axes beyond five have no letter of their own in OpenVINO
_HEADER_WORDS = 20


def read_program(content: bytes) -> Program:
    """Read a blob. Raises NcsError, in one line, for anything that is not a whole and consistent one."""
    if content.startswith(b"<?xml"):
        content = content.partition(b"\n")[2]
    header = _header(content)
    constants = memoryview(content)[header["constants_at"] :]
    words = _Words(content, constants)
    inputs = _ports(words, header, "input")
    outputs = _ports(words, header, "output")
    stages = tuple(_stages(words, header))
    limits = {("BSS", 0): header["bss_size"], ("CMX", 0): header["cmx_slices"] * CMX_SLICE, ("blob", 0): len(constants)}
    limits.update({("input", n): port.tensor.extent for n, port in enumerate(inputs)})
    limits.update({("output", n): port.tensor.extent for n, port in enumerate(outputs)})
    for stage in stages:
        _check_stage(stage, limits)
    uses_engines = any(stage.kind == KINDS[MYRIAD_X_UNIT] for stage in stages)
    platform = "MA2480" if uses_engines or header["has_hw"] else "MA2450 (or MA2480 without its hardware units)"
    return Program(
        inputs,
        outputs,
        stages,
        constants,
        header["bss_size"],
        header["cmx_slices"] * CMX_SLICE,
        header["shaves"],
        platform,
        max(1, header["batch"]),
    )


class _Words:
    """Bounds-checked 32-bit words of a blob, and of its constants."""

    def __init__(self, content: bytes, constants: memoryview) -> None:
        self.content, self.constants = content, constants

    def at(self, place: int, count: int) -> tuple[int, ...]:
        return _words(self.content, place, count, "the blob")

    def constant(self, place: int, count: int) -> tuple[int, ...]:
        return _words(self.constants, place, count, "the blob's constants")


def _words(content: bytes | memoryview, place: int, count: int, what: str) -> tuple[int, ...]:
    if place < 0 or place + 4 * count > len(content):
        raise NcsError(
            f"{what} end at byte {len(content)}, expected {4 * count} bytes at {place}: the file is cut short"
        )
    return struct.unpack_from(f"<{count}I", content, place)


def _header(content: bytes) -> dict:
    if not content:
        raise NcsError("Blob is empty")
    if content[:4] != b"\x7felf":
        raise NcsError(f"not a MYRIAD blob: expected the bytes 7f656c66 first, received {content[:4].hex()}")
    words = _words(content, ELF_SIZE, _HEADER_WORDS, "the header")
    names = "magic size major minor inputs_count outputs_count stages_count inputs_size outputs_size batch bss_size"
    names += " cmx_slices shaves has_hw has_shave has_dma inputs_at outputs_at stages_at constants_at"
    header = dict(zip(names.split(), words))
    _check_header(header, len(content))
    return header


def _check_header(header: dict, size: int) -> None:
    if header["magic"] != MAGIC:
        raise NcsError(f"magic number: expected {MAGIC:#x}, received {header['magic']:#x}")
    if (header["major"], header["minor"]) != (6, 0):
        raise NcsError(f"blob version: expected 6.0, received {header['major']}.{header['minor']}")
    if header["size"] != size:
        raise NcsError(
            f"file size: expected {header['size']} bytes by the header, received {size}: cut short or damaged"
        )
    for name in ("inputs_size", "outputs_size", "bss_size"):
        if header[name] > MOST_MEMORY:
            raise NcsError(f"{name}: a stick has {MOST_MEMORY} bytes of memory, received {header[name]}")
    if header["cmx_slices"] > MOST_SLICES or header["shaves"] > 16:
        raise NcsError(
            f"another chip's blob? Myriad X has 16 SHAVE cores and {MOST_SLICES} CMX slices, "
            f"received {header['shaves']} and {header['cmx_slices']}"
        )
    if header["batch"] > MOST_BATCH:
        raise NcsError(f"batch: expected at most {MOST_BATCH}, received {header['batch']}")
    for name in ("inputs", "outputs", "stages"):
        if header[name + "_count"] > size // 12:
            raise NcsError(f"{name}: {header[name + '_count']} of them cannot be in {size} bytes")
    if not header["inputs_at"] <= header["outputs_at"] <= header["stages_at"] <= header["constants_at"] <= size:
        raise NcsError("the sections of the blob are not in order: the header is damaged")


def _ports(words: _Words, header: dict, what: str) -> tuple[Port, ...]:
    place, ports = header[what + "s_at"], []
    for number in range(header[what + "s_count"]):
        index, _, length = words.at(place, 3)
        if index != number:
            raise NcsError(f"{what} {number}: expected its number in the record, received {index}")
        words.at(place + 12, (length + 3) // 4)
        name = words.content[place + 12 : place + 12 + length].split(b"\0")[0].decode("utf-8", "replace")
        place += 12 + length
        dtype, order, dims, strides, _ = _shape(words, place)
        place += 28
        tensor = TensorRef(dtype, order, dims, strides, what, number, 0)
        if tensor.extent > max(header[what + "s_size"], 1):
            raise NcsError(f"{what} '{name}': {tensor.extent} bytes do not fit {header[what + 's_size']} of the header")
        ports.append(Port(name, tensor))
    return tuple(ports)


def _shape(words: _Words, place: int) -> tuple[str, str, tuple[int, ...], tuple[int, ...], int]:
    dtype, code, count, dims_in, dims_at, strides_in, strides_at = words.at(place, 7)
    order = _order(code)
    if dtype not in DTYPES or len(order) != count or not order:
        raise NcsError(f"byte {place}: expected a tensor, received type {dtype}, order {code:#x}, {count} axes")
    if dims_in != 3 or strides_in != 3:
        raise NcsError(f"byte {place}: a tensor of dynamic shape; the simulator runs static shapes only")
    dims = words.constant(dims_at, count)[::-1]
    strides = words.constant(strides_at, count)[::-1]
    if not all(dims):
        raise NcsError(f"byte {place}: a tensor of {'x'.join(map(str, dims))} has no elements")
    return DTYPES[dtype][0], order, dims, strides, 28


def _order(code: int) -> str:
    letters = ""
    while code and len(letters) < MOST_AXES:
        digit = code & 15
        letters = (_AXES[digit] if 0 < digit < len(_AXES) else "?") + letters
        code >>= 4
    return "" if code or "?" in letters or len(set(letters)) != len(letters) else letters


def _stages(words: _Words, header: dict) -> Iterator[StageRecord]:
    place = header["stages_at"]
    for number in range(header["stages_count"]):
        if place + 24 > header["constants_at"]:
            raise NcsError(f"stage {number}: begins at byte {place}, behind the section of the stages")
        stage, place = _stage(words, place, header["constants_at"], number)
        yield stage


def _stage(words: _Words, place: int, end: int, number: int, nested: bool = False) -> tuple[StageRecord, int]:
    length, code, shaves, size = words.at(place, 4)
    kind = KINDS.get(code - (1 << 32) if code >> 31 else code, f"type {code}")
    where = f"stage {number} ({kind})"
    last = place + length - 8
    if length < 24 or place + length > end or words.at(last, 2) != (code, STAGE_END):
        raise NcsError(f"{where}: its {length} bytes at {place} do not end as a stage does: the blob is damaged")
    begin = place + 12 + size
    if not place + 16 <= begin <= last:
        raise NcsError(f"{where}: {size} bytes of parameters do not fit a stage of {length} bytes")
    params, injected = words.content[place + 16 : begin], None
    if code == MYRIAD_X_UNIT:
        params, injected = _split_injected(words, place + 16, begin, number, nested)
        begin += 4  # the count of the tensors
    return StageRecord(
        number, kind, shaves, params, tuple(_tensors(words, begin, last, where)), injected
    ), place + length


def _split_injected(words: _Words, start: int, end: int, number: int, nested: bool) -> tuple[bytes, StageRecord | None]:
    """The operations of a hardware stage, and the SHAVE stage that runs beside it, which lies behind them."""
    flag_at = start + operations_end(words.content[start:end], number)
    (flag,) = words.at(flag_at, 1)
    if flag and nested:
        raise NcsError(f"stage {number} (MyriadXHwOp): a stage injected into an injected one")
    injected = _stage(words, flag_at + 4, end, number, True)[0] if flag else None
    return words.content[start:flag_at], injected


def _tensors(words: _Words, place: int, end: int, where: str) -> Iterator[TensorRef]:
    while place < end:
        try:
            dtype, order, dims, strides, size = _shape(words, place)
            (code,) = words.at(place + size, 1)
        except NcsError as error:
            raise NcsError(f"{where}: {error}") from None
        place += size + 4
        if code >= len(LOCATIONS):
            raise NcsError(f"{where}: a tensor in location {code}; there are 0 to {len(LOCATIONS) - 1}")
        buffer = 0
        if LOCATIONS[code] in ("input", "output"):
            buffer, _ = words.at(place, 2)
            place += 8
        (offset,) = words.at(place, 1)
        place += 4
        yield TensorRef(dtype, order, dims, strides, LOCATIONS[code], buffer, offset)


def _check_stage(stage: StageRecord, limits: dict) -> None:
    for number, tensor in enumerate(stage.tensors):
        if tensor.location == "none":
            continue
        limit = limits.get((tensor.location, tensor.buffer))
        if limit is None:
            raise NcsError(
                f"{stage}: tensor {number} is in {tensor.location} {tensor.buffer}, which the blob does not have"
            )
        if tensor.offset + tensor.extent > limit:
            raise NcsError(f"{stage}: tensor {number}, {tensor}, ends behind the {limit} bytes of {tensor.location}")
    if stage.injected:
        _check_stage(stage.injected, limits)
