"""Sets the types of a net's inputs and outputs, as -ip and -op of OpenVINO's compile_tool do.

Runs in the compiler's child process through ctypes. The memory layouts are those of libinference_engine.so 2021.4.2,
whose hash is pinned, with the old C++ ABI (a std::string is one pointer).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

_INPUTS = "_ZNK15InferenceEngine10CNNNetwork13getInputsInfoEv"
_OUTPUTS = "_ZNK15InferenceEngine10CNNNetwork14getOutputsInfoEv"
_SET = "_ZN15InferenceEngine4Data12setPrecisionERKNS_9PrecisionE"
_INPUT_DATA_OFFSET = 40  # InputInfo: a PreProcessInfo (vector, variant, resize, colour format), then a pointer to Data


class _Precision(ctypes.Structure):
    """InferenceEngine::Precision."""

    _fields_ = [
        ("bits", ctypes.c_size_t),
        ("name", ctypes.c_char_p),
        ("is_float", ctypes.c_bool),
        ("value", ctypes.c_uint8),
    ]


PRECISIONS = {"FP32": (32, True, 10), "FP16": (16, True, 11), "U8": (8, False, 40)}


def set_types(library: Any, network: Any, inputs: str, outputs: str) -> None:
    """Set the type (a key of PRECISIONS, or "" for no change) of all inputs and of all outputs of a CNNNetwork."""
    for getter, name, data_offset in ((_INPUTS, inputs, _INPUT_DATA_OFFSET), (_OUTPUTS, outputs, None)):
        if not name:
            continue
        bits, is_float, value = PRECISIONS[name]
        precision = _Precision(bits, name.encode(), is_float, value)
        infos = (ctypes.c_uint64 * 6)()
        getattr(library, getter)(infos, network)
        for info in _values(infos[2]):
            data = info if data_offset is None else ctypes.c_uint64.from_address(info + data_offset).value
            getattr(library, _SET)(ctypes.c_void_p(data), ctypes.byref(precision))


def _values(node: int) -> Iterator[int]:
    """Yield the pointers of a std::map<std::string, std::shared_ptr>, starting at its root node."""
    if node:
        _, _, left, right, _, value, _ = (ctypes.c_uint64 * 7).from_address(node)
        yield from _values(left)
        yield value
        yield from _values(right)
