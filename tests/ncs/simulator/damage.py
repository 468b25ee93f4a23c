"""Damages a blob in one place: a weight, an offset, a stride or a tile (also for bench/simulator_mutations.py)."""

import dataclasses
import struct

from ncs.simulator.operations import read_operations
from ncs.simulator.program import DTYPES
from ncs.simulator.reader import MYRIAD_X_UNIT, read_program

KINDS = ("weight", "offset", "stride", "tile")


@dataclasses.dataclass
class Damage:
    """What was changed, in words, and the blob."""

    kind: str
    text: str
    content: bytes


@dataclasses.dataclass
class Field:
    """A tensor of a stage: byte addresses in the file of its offset, dims and strides."""

    stage: int
    place: int
    dims_at: int
    strides_at: int
    tensor: object


def damaged(content, kind, random):
    """A Damage of `kind` at a place that `random` (random.Random) chooses."""
    program = read_program(content)
    constants_at = len(content) - len(program.constants)
    fields = [field for field in _fields(content, program, constants_at) if field.tensor.location != "none"]
    changed = bytearray(content)
    text = {"weight": _weight, "offset": _offset, "stride": _stride, "tile": _tile}[kind](
        changed, program, fields, constants_at, random
    )
    return Damage(kind, text, bytes(changed))


def _fields(content, program, constants_at):
    """Every tensor of every stage, read again with its addresses."""
    place = struct.unpack_from("<20I", content, 52)[18]
    for stage in program.stages:
        length, code, _, size = struct.unpack_from("<4I", content, place)
        at = place + 12 + size + (4 if code == MYRIAD_X_UNIT else 0)
        for tensor in stage.tensors:
            words = struct.unpack_from("<7I", content, at)
            at += 32 + (8 if tensor.location in ("input", "output") else 0)
            yield Field(stage.number, at, constants_at + words[4], constants_at + words[6], tensor)
            at += 4
        place += length


def _weight(changed, program, fields, constants_at, random):
    """One bit of one number among a stage's constants."""
    field = random.choice([f for f in fields if f.tensor.location == "blob" and f.tensor.dtype == "FP16"])
    count = field.tensor.extent // 2
    element, bit = random.randrange(count), random.randrange(16)
    place = constants_at + field.tensor.offset + 2 * element
    changed[place + bit // 8] ^= 1 << bit % 8
    return f"stage {field.stage}: bit {bit} of weight {element} of {count}"


def _offset(changed, program, fields, constants_at, random):
    """A tensor a little before or behind its place."""
    field = random.choice(fields)
    step = random.choice([-64, -16, -2, 2, 16, 64]) * dict(DTYPES.values())[field.tensor.dtype]
    value = field.tensor.offset + (step if field.tensor.offset + step >= 0 else -step)
    struct.pack_into("<I", changed, field.place, value)
    return f"stage {field.stage}: offset {field.tensor.offset} became {value}: {field.tensor}"


def _stride(changed, program, fields, constants_at, random):
    """A stride of an axis longer than 1."""
    choices = [(f, axis) for f in fields for axis, size in enumerate(f.tensor.dims) if size > 1]
    field, axis = random.choice(choices)
    value = max(1, field.tensor.strides[axis] + random.choice([-16, -2, 2, 16]))
    struct.pack_into("<I", changed, field.strides_at + 4 * (len(field.tensor.dims) - 1 - axis), value)
    return f"stage {field.stage}: stride {field.tensor.strides[axis]} of axis {axis} became {value}: {field.tensor}"


def _tile(changed, program, fields, constants_at, random):
    """One row, column or channel more or less of a tensor, or the channels of a hardware operation moved by eight."""
    engines = [stage for stage in program.stages if stage.kind == "MyriadXHwOp"]
    if engines and random.random() < 0.5:
        stage = random.choice(engines)
        target = random.choice(read_operations(stage.params, stage.number))
        packed = struct.pack("<2i", *target.channels)
        place = bytes(changed).find(stage.params)
        at = changed.find(packed, place, place + len(stage.params))
        struct.pack_into("<i", changed, at, target.channels[0] + 8)
        return f"stage {stage.number}: channels from {target.channels[0]} on became from {target.channels[0] + 8} on"
    field, axis = random.choice([(f, a) for f in fields for a, size in enumerate(f.tensor.dims) if size > 1])
    value = field.tensor.dims[axis] + random.choice([-1, 1])
    struct.pack_into("<I", changed, field.dims_at + 4 * (len(field.tensor.dims) - 1 - axis), value)
    return f"stage {field.stage}: size {field.tensor.dims[axis]} of axis {axis} became {value}: {field.tensor}"


def verdict(content, inputs, reference, limit, undamaged=None):
    """(caught, how): an error, a finding, an answer beyond `limit` of the net's; else what became of the answer."""
    import numpy as np

    from ncs.errors import NcsError
    from ncs.simulator import Simulator

    try:
        simulator = Simulator(content)
        result = np.concatenate([v.ravel() for v in simulator.run(inputs).values()])
    except NcsError as error:
        return True, f"error: {error}"
    if result.shape != reference.shape:
        return True, f"answer of {result.size} numbers"
    if simulator.findings():
        return True, f"finding: {simulator.findings()[0]}"
    error = np.abs(result - reference).max() / np.abs(reference).max() if np.isfinite(result).all() else np.inf
    if not error <= limit:
        return True, f"answer off by {error:.2g} of the greatest"
    if undamaged is not None and np.array_equal(result, undamaged):
        return False, "not a bit of the answer differs"
    return False, f"answer off by {error:.2g} of the greatest, within {limit:.2g}"
