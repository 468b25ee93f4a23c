"""Prepares ONNX files and IRs of other tools for the Myriad compiler: sets dynamic sizes and converts IR v11."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

from ncs.errors import NcsError

MAX_ELEMENTS = 1 << 28  # values of two bytes in the 512 MB of a stick


def readable(path: str, scratch: str, shape: Sequence[int | None], say: Callable[[str], None]) -> str:
    """Return the path of an ONNX model or IR that the compiler can read, converted into `scratch` if necessary.

    `shape` is (N, C, H, W) for inputs of four axes, with None for the file's own sizes; N only sets a dynamic batch.
    Raises NcsError if the file cannot be converted.
    """
    if path.endswith(".onnx"):
        return _onnx(path, scratch, shape, say)
    from ncs.compiler.ir import version_of

    if shape[2]:
        raise NcsError(f"{path}: -is applies to a prototxt or an ONNX file only; the input size of an IR is fixed")
    weights = os.path.splitext(path)[0] + ".bin"
    if not os.path.isfile(weights):
        raise NcsError(f"{path}: the weights of this IR, {os.path.basename(weights)}, are missing")
    version = version_of(path)
    if version == 11:
        from ncs.myriad.ir_downgrade import downgrade

        return downgrade(path, scratch)
    if version != 10:
        raise NcsError(
            f"{path}: expected IR v10 (OpenVINO 2020 to 2021.4) or v11, received v{version}: compile the ONNX file, or "
            "the prototxt and caffemodel"
        )
    return path


def _onnx(path: str, scratch: str, shape: Sequence[int | None], say: Callable[[str], None]) -> str:
    import onnx
    from google.protobuf.message import DecodeError

    from caffe.proto import foreign

    with open(path, "rb") as stream:
        kind = foreign.kind_of(stream.read(1024))
    if kind is not None:
        raise NcsError(f"{path}: this is {kind}; expected an ONNX model")
    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, OSError) as error:
        raise NcsError(f"{path}: not an ONNX model, or truncated ({error})") from error
    constants = {tensor.name for tensor in model.graph.initializer}
    changes = [_set_sizes(path, port, shape) for port in model.graph.input if port.name not in constants]
    if not any(changes):
        return path
    for text in filter(None, changes):
        say(f"{path}: compiled for {text}")
    onnx.load_external_data_for_model(model, os.path.dirname(os.path.abspath(path)))
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    output = os.path.join(scratch, os.path.basename(path))
    onnx.save(model, output)
    return output


def _set_sizes(path: str, port: Any, shape: Sequence[int | None]) -> str:
    """Set the dynamic sizes of an input in place; return its name and new shape, or "" if nothing changed."""
    dims = port.type.tensor_type.shape.dim
    before = [dim.dim_value for dim in dims]
    requested = list(shape if len(dims) == 4 else shape[:1]) + [None] * len(dims)
    after = [size or requested[0] if axis == 0 else requested[axis] or size for axis, size in enumerate(before)]
    if not all(after):
        names = "x".join(str(dim.dim_value or dim.dim_param or "?") for dim in dims)
        settable = len(dims) == 4 and all(after[:2])
        hint = "set them with -is W H" if settable else "export the model with fixed sizes"
        raise NcsError(f"{path}: input '{port.name}' is {names}, but a blob needs fixed sizes: {hint}")
    if math.prod(size or 1 for size in after) > MAX_ELEMENTS:
        sizes = "x".join(map(str, after))
        raise NcsError(
            f"{path}: input '{port.name}' is {sizes}; a chip with 512 MB takes at most {MAX_ELEMENTS} values"
        )
    for dim, size in zip(dims, after):
        dim.dim_value = size
    return "" if after == before else "{} {}".format(port.name, "x".join(map(str, after)))
