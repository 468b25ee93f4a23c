"""Run a single stage on given tensors and parameters."""

import struct

import numpy as np

from ncs.simulator import stages
from ncs.simulator.call import Call, Report, WeightCache
from ncs.simulator.memory import Memory
from ncs.simulator.program import Program, StageRecord, TensorRef

SIZE = 1 << 20
NAMES = {
    np.dtype(np.float16): "FP16",
    np.dtype(np.float32): "FP32",
    np.dtype(np.int32): "S32",
    np.dtype(np.uint8): "U8",
}
ORDERS = {1: "C", 2: "NC", 3: "CHW", 4: "NCHW"}


def packed(*words):
    """Pack parameters: ints as int32, floats as float32, bytes unchanged."""
    return b"".join(
        w if isinstance(w, bytes) else struct.pack("<f" if isinstance(w, float) else "<i", w) for w in words
    )


def run_stage(kind, params, *tensors, outputs=(), half=False):
    """Run a stage and return its outputs.

    A tensor is an array, (array, order), (shape, dtype, order) of an output, or None. `outputs` are the indices of the
    outputs among `tensors`. Rows are padded, so that strides are tested.
    """
    program = Program((), (), (), memoryview(b""), SIZE, 0, 1, "MA2480", 1)
    memory, offset, refs = Memory(program), 64, []
    for number, argument in enumerate(tensors):
        if argument is None:
            refs.append(TensorRef("FP16", "C", (1,), (2,), "none", 0, 0))
            continue
        shape, dtype, order = tensor_spec(argument, number in outputs)
        strides = padded_strides(shape, np.dtype(dtype).itemsize)
        ref = TensorRef(NAMES[np.dtype(dtype)], order, tuple(shape), strides, "BSS", 0, offset)
        offset += (ref.extent + 79) // 16 * 16
        refs.append(ref)
        if number not in outputs:
            memory.write(ref, argument[0] if isinstance(argument, tuple) else argument)
    record = StageRecord(0, kind, 1, params, tuple(refs))
    report = Report()
    with np.errstate(all="ignore"):
        stages.load()[kind](Call(record, memory, report, WeightCache(0), half))
    results = [memory.view(refs[number]).astype(np.float32) for number in outputs]
    assert all(memory.unwritten_mask(refs[number]) is None for number in outputs), (
        "an output was not written completely"
    )
    return results[0] if len(results) == 1 else results


def tensor_spec(argument, is_output):
    """Return (shape, dtype, order) of an argument of `run_stage`."""
    if is_output:
        shape, dtype, order = (*argument, None, None)[:3] if isinstance(argument[0], tuple) else (argument, None, None)
        return shape, dtype or np.float16, order or ORDERS[len(shape)]
    array, order = argument if isinstance(argument, tuple) else (argument, ORDERS[argument.ndim])
    return array.shape, array.dtype, order


def padded_strides(shape, itemsize):
    """Return byte strides with rows rounded up to 16 bytes."""
    strides = [itemsize]
    for axis, size in enumerate(reversed(shape[1:])):
        step = strides[0] * size
        strides.insert(0, (step + 15) // 16 * 16 if axis == 0 and len(shape) > 1 else step)
    return tuple(strides)


def fp16_normal(random, *shape, scale=1.0):
    """Return normally distributed values in FP16."""
    return (random.standard_normal(shape) * scale).astype(np.float16)


def assert_close(result, expected, steps=2.0):
    """Assert that a result equals a float64 reference within `steps` units in the last place of FP16."""
    expected = np.asarray(expected, np.float64)
    ulp = np.spacing(np.abs(expected).astype(np.float16).clip(2.0**-14)).astype(np.float64)
    error = (np.abs(result - expected) / ulp).max()
    assert error <= steps, f"expected at most {steps} ulp of FP16, received {error:.3g}"
