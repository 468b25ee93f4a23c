"""Damage one weight, offset, stride or tile of a blob (also for bench/simulator_mutations.py)."""

import dataclasses
import struct

from ncs.simulator.operations import read_operations
from ncs.simulator.program import DTYPES
from ncs.simulator.reader import MYRIAD_X_UNIT, read_program

KINDS = ("weight", "offset", "stride", "tile")


@dataclasses.dataclass
class Damage:
    """A damaged blob and a description of the change."""

    kind: str
    text: str
    content: bytes


@dataclasses.dataclass
class Field:
    """A tensor of a stage with the positions of its offset, dims and strides in the file."""

    stage: int
    offset_at: int
    dims_at: int
    strides_at: int
    tensor: object


def damage_blob(content, kind, random):
    """Return a Damage of `kind` at a position that `random` (random.Random) chooses."""
    program = read_program(content)
    constants_at = len(content) - len(program.constants)
    fields = [field for field in _fields(content, program, constants_at) if field.tensor.location != "none"]
    changed = bytearray(content)
    text = {"weight": _weight, "offset": _offset, "stride": _stride, "tile": _tile}[kind](
        changed, program, fields, constants_at, random
    )
    return Damage(kind, text, bytes(changed))


def _fields(content, program, constants_at):
    """Yield every tensor of every stage with its positions in the file."""
    offset = struct.unpack_from("<20I", content, 52)[18]
    for stage in program.stages:
        length, code, _, size = struct.unpack_from("<4I", content, offset)
        at = offset + 12 + size + (4 if code == MYRIAD_X_UNIT else 0)
        for tensor in stage.tensors:
            words = struct.unpack_from("<7I", content, at)
            at += 32 + (8 if tensor.location in ("input", "output") else 0)
            yield Field(stage.number, at, constants_at + words[4], constants_at + words[6], tensor)
            at += 4
        offset += length


def _weight(changed, program, fields, constants_at, random):
    """Flip one bit of a stage's constants."""
    field = random.choice([f for f in fields if f.tensor.location == "blob" and f.tensor.dtype == "FP16"])
    count = field.tensor.extent // 2
    element, bit = random.randrange(count), random.randrange(16)
    offset = constants_at + field.tensor.offset + 2 * element
    changed[offset + bit // 8] ^= 1 << bit % 8
    return f"stage {field.stage}: bit {bit} of weight {element} of {count}"


def _offset(changed, program, fields, constants_at, random):
    """Change the offset of a tensor."""
    field = random.choice(fields)
    step = random.choice([-64, -16, -2, 2, 16, 64]) * dict(DTYPES.values())[field.tensor.dtype]
    value = field.tensor.offset + (step if field.tensor.offset + step >= 0 else -step)
    struct.pack_into("<I", changed, field.offset_at, value)
    return f"stage {field.stage}: offset {field.tensor.offset} became {value}: {field.tensor}"


def _stride(changed, program, fields, constants_at, random):
    """Change the stride of an axis longer than 1."""
    choices = [(f, axis) for f in fields for axis, size in enumerate(f.tensor.dims) if size > 1]
    field, axis = random.choice(choices)
    value = max(1, field.tensor.strides[axis] + random.choice([-16, -2, 2, 16]))
    struct.pack_into("<I", changed, field.strides_at + 4 * (len(field.tensor.dims) - 1 - axis), value)
    return f"stage {field.stage}: stride {field.tensor.strides[axis]} of axis {axis} became {value}: {field.tensor}"


def _tile(changed, program, fields, constants_at, random):
    """Change a dimension of a tensor by one, or the channels of a hardware operation by eight."""
    engines = [stage for stage in program.stages if stage.kind == "MyriadXHwOp"]
    if engines and random.random() < 0.5:
        stage = random.choice(engines)
        target = random.choice(read_operations(stage.params, stage.number))
        packed = struct.pack("<2i", *target.channels)
        offset = bytes(changed).find(stage.params)
        at = changed.find(packed, offset, offset + len(stage.params))
        struct.pack_into("<i", changed, at, target.channels[0] + 8)
        return f"stage {stage.number}: first channel {target.channels[0]} became {target.channels[0] + 8}"
    field, axis = random.choice([(f, a) for f in fields for a, size in enumerate(f.tensor.dims) if size > 1])
    value = field.tensor.dims[axis] + random.choice([-1, 1])
    struct.pack_into("<I", changed, field.dims_at + 4 * (len(field.tensor.dims) - 1 - axis), value)
    return f"stage {field.stage}: size {field.tensor.dims[axis]} of axis {axis} became {value}: {field.tensor}"


def is_caught(content, inputs, reference, limit, undamaged=None):
    """Return (caught, reason): caught by an error, a finding, or a relative output error beyond `limit`."""
    import numpy as np

    from ncs.errors import NcsError
    from ncs.simulator import Simulator

    try:
        simulator = Simulator(content)
        result = np.concatenate([v.ravel() for v in simulator.run(inputs).values()])
    except NcsError as error:
        return True, f"error: {error}"
    if result.shape != reference.shape:
        return True, f"output size: {result.size}"
    if simulator.findings():
        return True, f"finding: {simulator.findings()[0]}"
    error = np.abs(result - reference).max() / np.abs(reference).max() if np.isfinite(result).all() else np.inf
    if not error <= limit:
        return True, f"output error: {error:.2g} of the maximum"
    if undamaged is not None and np.array_equal(result, undamaged):
        return False, "output identical"
    return False, f"output error within limit: {error:.2g} of the maximum, limit {limit:.2g}"
