"""Gives a net that Intel's library has read other types at its inputs and outputs, as compile_tool's -ip and -op do.

Runs in the compiler's child process, through ctypes: the layouts are those of libinference_engine.so 2021.4.2, whose hash is
pinned, with the old C++ ABI (a std::string is one pointer).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

_INPUTS = "_ZNK15InferenceEngine10CNNNetwork13getInputsInfoEv"
_OUTPUTS = "_ZNK15InferenceEngine10CNNNetwork14getOutputsInfoEv"
_SET = "_ZN15InferenceEngine4Data12setPrecisionERKNS_9PrecisionE"
_DATA_OF_INPUT = 40  # InputInfo: a PreProcessInfo (vector, variant, resize, colour format), then a pointer to its Data


class _Precision(ctypes.Structure):
    """InferenceEngine::Precision: bits, name, whether it is a float, its number."""

    _fields_ = [
        ("bits", ctypes.c_size_t),
        ("name", ctypes.c_char_p),
        ("is_float", ctypes.c_bool),
        ("value", ctypes.c_uint8),
    ]


PRECISIONS = {"FP32": (32, True, 10), "FP16": (16, True, 11), "U8": (8, False, 40)}


def set_types(library: Any, network: Any, inputs: str, outputs: str) -> None:
    """Set the type (a key of PRECISIONS, or "" to leave it) of all inputs and of all outputs of a CNNNetwork."""
    for getter, name, step in ((_INPUTS, inputs, _DATA_OF_INPUT), (_OUTPUTS, outputs, None)):
        if not name:
            continue
        bits, is_float, value = PRECISIONS[name]
        precision = _Precision(bits, name.encode(), is_float, value)
        found = (ctypes.c_uint64 * 6)()
        getattr(library, getter)(found, network)
        for info in _values(found[2]):
            data = info if step is None else ctypes.c_uint64.from_address(info + step).value
            getattr(library, _SET)(ctypes.c_void_p(data), ctypes.byref(precision))


def _values(node: int) -> Iterator[int]:
    """The pointers held by the shared_ptr values of a std::map<std::string, std::shared_ptr>, from its root node on."""
    if node:
        _, _, left, right, _, value, _ = (ctypes.c_uint64 * 7).from_address(node)
        yield from _values(left)
        yield value
        yield from _values(right)
