"""Read a MYRIAD blob for execution: everything that the chip's firmware receives.

`ncs.myriad.blob` reads the same file for reports. Every tensor is checked against the size of its memory before
anything is allocated.
"""

from __future__ import annotations

import struct
from typing import Iterator  # noqa: UP035 - Python 3.7 on the device

from ncs.errors import NcsError
from ncs.myriad.blob import ELF_SIZE, MAGIC
from ncs.myriad.stage_kinds import KINDS
from ncs.simulator.operations import operations_end
from ncs.simulator.program import DTYPES, Port, Program, StageRecord, TensorRef

MYRIAD_X_UNIT = 38  # stage kind of the convolution engines, which only Myriad X has
STAGE_END = 0x7F83FF19
MAX_MEMORY_BYTES = 1 << 29  # bytes of DDR on a stick
CMX_SLICE = 1 << 17
MAX_CMX_SLICES = 20
MAX_AXES = 8
MAX_BATCH = 4096
LOCATIONS = ("none", "input", "output", "blob", "BSS", "CMX")
_AXES = "?WHCNDABX"  # OpenVINO has no letters for more than five axes
_HEADER_WORDS = 20


def read_program(content: bytes) -> Program:
    """Read a blob for execution.

    Parameters
    ----------
    content : bytes
        The blob.

    Returns
    -------
    Program
        Its ports, stages, constants and memory sizes (bytes).

    Raises
    ------
    NcsError
        If the blob is truncated, inconsistent or of another version or chip.
    """
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
    """Bounds-checked reads of 32-bit words from a blob and from its constants."""

    def __init__(self, content: bytes, constants: memoryview) -> None:
        self.content, self.constants = content, constants

    def read(self, offset: int, count: int) -> tuple[int, ...]:
        return _words(self.content, offset, count, "the blob")

    def read_constants(self, offset: int, count: int) -> tuple[int, ...]:
        return _words(self.constants, offset, count, "the section of constants")


def _words(content: bytes | memoryview, offset: int, count: int, section: str) -> tuple[int, ...]:
    if offset < 0 or offset + 4 * count > len(content):
        raise NcsError(
            f"{section} ends at byte {len(content)}, expected {4 * count} bytes at {offset}: the file is truncated"
        )
    return struct.unpack_from(f"<{count}I", content, offset)


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
            f"file size: expected {header['size']} bytes as in the header, received {size}; the file is damaged"
        )
    for name in ("inputs_size", "outputs_size", "bss_size"):
        if header[name] > MAX_MEMORY_BYTES:
            raise NcsError(
                f"{name}: expected at most {MAX_MEMORY_BYTES} bytes, the memory of a stick, received {header[name]}"
            )
    if header["cmx_slices"] > MAX_CMX_SLICES or header["shaves"] > 16:
        raise NcsError(
            f"expected at most 16 SHAVE cores and {MAX_CMX_SLICES} CMX slices, as Myriad X has, "
            f"received {header['shaves']} and {header['cmx_slices']}; is it a blob for another chip?"
        )
    if header["batch"] > MAX_BATCH:
        raise NcsError(f"batch: expected at most {MAX_BATCH}, received {header['batch']}")
    for name in ("inputs", "outputs", "stages"):
        if header[name + "_count"] > size // 12:
            raise NcsError(f"{name}: {header[name + '_count']} of them do not fit in {size} bytes")
    if not header["inputs_at"] <= header["outputs_at"] <= header["stages_at"] <= header["constants_at"] <= size:
        raise NcsError("the sections of the blob are out of order; the header is damaged")


def _ports(words: _Words, header: dict, kind: str) -> tuple[Port, ...]:
    offset, ports = header[kind + "s_at"], []
    for number in range(header[kind + "s_count"]):
        index, _, length = words.read(offset, 3)
        if index != number:
            raise NcsError(f"{kind} {number}: expected its number in the record, received {index}")
        words.read(offset + 12, (length + 3) // 4)
        name = words.content[offset + 12 : offset + 12 + length].split(b"\0")[0].decode("utf-8", "replace")
        offset += 12 + length
        dtype, order, dims, strides, _ = _shape(words, offset)
        offset += 28
        tensor = TensorRef(dtype, order, dims, strides, kind, number, 0)
        if tensor.extent > max(header[kind + "s_size"], 1):
            raise NcsError(
                f"{kind} '{name}': {tensor.extent} bytes do not fit in the {header[kind + 's_size']} of the header"
            )
        ports.append(Port(name, tensor))
    return tuple(ports)


def _shape(words: _Words, offset: int) -> tuple[str, str, tuple[int, ...], tuple[int, ...], int]:
    dtype, code, count, dims_location, dims_at, strides_location, strides_at = words.read(offset, 7)
    order = _order(code)
    if dtype not in DTYPES or len(order) != count or not order:
        raise NcsError(f"byte {offset}: expected a tensor, received type {dtype}, order {code:#x}, {count} axes")
    if dims_location != 3 or strides_location != 3:
        raise NcsError(
            f"byte {offset}: expected a static shape, received a dynamic one, which the simulator does not support"
        )
    dims = words.read_constants(dims_at, count)[::-1]
    strides = words.read_constants(strides_at, count)[::-1]
    if not all(dims):
        raise NcsError(f"byte {offset}: a tensor of {'x'.join(map(str, dims))} has no elements")
    return DTYPES[dtype][0], order, dims, strides, 28


def _order(code: int) -> str:
    letters = ""
    while code and len(letters) < MAX_AXES:
        digit = code & 15
        letters = (_AXES[digit] if 0 < digit < len(_AXES) else "?") + letters
        code >>= 4
    return "" if code or "?" in letters or len(set(letters)) != len(letters) else letters


def _stages(words: _Words, header: dict) -> Iterator[StageRecord]:
    offset = header["stages_at"]
    for number in range(header["stages_count"]):
        if offset + 24 > header["constants_at"]:
            raise NcsError(f"stage {number} starts at byte {offset}, after the end of the stages section")
        stage, offset = _stage(words, offset, header["constants_at"], number)
        yield stage


def _stage(words: _Words, offset: int, end: int, number: int, nested: bool = False) -> tuple[StageRecord, int]:
    length, code, shaves, size = words.read(offset, 4)
    kind = KINDS.get(code - (1 << 32) if code >> 31 else code, f"type {code}")
    label = f"stage {number} ({kind})"
    end_mark = offset + length - 8
    if length < 24 or offset + length > end or words.read(end_mark, 2) != (code, STAGE_END):
        raise NcsError(f"{label}: no end mark after {length} bytes from {offset}; the blob is damaged")
    begin = offset + 12 + size
    if not offset + 16 <= begin <= end_mark:
        raise NcsError(f"{label}: {size} bytes of parameters do not fit in a stage of {length} bytes")
    params, injected = words.content[offset + 16 : begin], None
    if code == MYRIAD_X_UNIT:
        params, injected = _split_injected(words, offset + 16, begin, number, nested)
        begin += 4  # the number of tensors
    return StageRecord(
        number, kind, shaves, params, tuple(_tensors(words, begin, end_mark, label)), injected
    ), offset + length


def _split_injected(words: _Words, start: int, end: int, number: int, nested: bool) -> tuple[bytes, StageRecord | None]:
    """Split the parameters of a hardware stage into its operations and the injected SHAVE stage, or None."""
    flag_offset = start + operations_end(words.content[start:end], number)
    (flag,) = words.read(flag_offset, 1)
    if flag and nested:
        raise NcsError(f"stage {number} (MyriadXHwOp): an injected stage contains another injected stage")
    injected = _stage(words, flag_offset + 4, end, number, True)[0] if flag else None
    return words.content[start:flag_offset], injected


def _tensors(words: _Words, offset: int, end: int, label: str) -> Iterator[TensorRef]:
    while offset < end:
        try:
            dtype, order, dims, strides, size = _shape(words, offset)
            (code,) = words.read(offset + size, 1)
        except NcsError as error:
            raise NcsError(f"{label}: {error}") from None
        offset += size + 4
        if code >= len(LOCATIONS):
            raise NcsError(f"{label}: tensor location: expected 0 to {len(LOCATIONS) - 1}, received {code}")
        buffer = 0
        if LOCATIONS[code] in ("input", "output"):
            buffer, _ = words.read(offset, 2)
            offset += 8
        (tensor_offset,) = words.read(offset, 1)
        offset += 4
        yield TensorRef(dtype, order, dims, strides, LOCATIONS[code], buffer, tensor_offset)


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
            raise NcsError(f"{stage}: tensor {number}, {tensor}, exceeds the {limit} bytes of {tensor.location}")
    if stage.injected:
        _check_stage(stage.injected, limits)
