"""One stage by hand: its tensors laid into memory, its parameters packed, the stage run, its output read."""

import struct

import numpy as np

from ncs.simulator import stages
from ncs.simulator.call import Call, WeightCache, Report
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
    """Parameters: ints as signed words, floats as floats, bytes as they are."""
    return b"".join(
        w if isinstance(w, bytes) else struct.pack("<f" if isinstance(w, float) else "<i", w) for w in words
    )


def run_stage(kind, params, *tensors, outputs=(), half=False):
    """Run a stage and return its outputs.

    A tensor is an array, (array, order), (shape, dtype, order) of an output, or None. `outputs` are the indices of the
    outputs among `tensors`. Rows are padded, so that strides matter.
    """
    program = Program((), (), (), memoryview(b""), SIZE, 0, 1, "MA2480", 1)
    memory, place, refs = Memory(program), 64, []
    for number, given in enumerate(tensors):
        if given is None:
            refs.append(TensorRef("FP16", "C", (1,), (2,), "none", 0, 0))
            continue
        shape, dtype, order = build_only(given, number in outputs)
        strides = padded_strides(shape, np.dtype(dtype).itemsize)
        ref = TensorRef(NAMES[np.dtype(dtype)], order, tuple(shape), strides, "BSS", 0, place)
        place += (ref.extent + 79) // 16 * 16
        refs.append(ref)
        if number not in outputs:
            memory.write(ref, given[0] if isinstance(given, tuple) else given)
    record = StageRecord(0, kind, 1, params, tuple(refs))
    report = Report()
    with np.errstate(all="ignore"):
        stages.load()[kind](Call(record, memory, report, WeightCache(0), half))
    results = [memory.view(refs[number]).astype(np.float32) for number in outputs]
    assert all(memory.unwritten_mask(refs[number]) is None for number in outputs), "an output was not written whole"
    return results[0] if len(results) == 1 else results


def build_only(given, output):
    """(shape, dtype, order)."""
    if output:
        shape, dtype, order = (*given, None, None)[:3] if isinstance(given[0], tuple) else (given, None, None)
        return shape, dtype or np.float16, order or ORDERS[len(shape)]
    array, order = given if isinstance(given, tuple) else (given, ORDERS[given.ndim])
    return array.shape, array.dtype, order


def padded_strides(shape, itemsize):
    """Byte strides with rows round_to_dtype up to 16 bytes."""
    strides = [itemsize]
    for axis, size in enumerate(reversed(shape[1:])):
        step = strides[0] * size
        strides.insert(0, (step + 15) // 16 * 16 if axis == 0 and len(shape) > 1 else step)
    return tuple(strides)


def halves(random, *shape, scale=1.0):
    """Normal numbers as FP16."""
    return (random.standard_normal(shape) * scale).astype(np.float16)


def close(result, expected, steps=2.0):
    """Equal to what was computed in float64, but for rounding to FP16 once (and a sum in float32)."""
    expected = np.asarray(expected, np.float64)
    grain = np.spacing(np.abs(expected).astype(np.float16).clip(2.0**-14)).astype(np.float64)
    worst = (np.abs(result - expected) / grain).max()
    assert worst <= steps, f"off by {worst:.3g} steps of FP16"
