"""Model files that others made, as the Myriad compiler reads them: sizes that were left open are filled in."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from ncs.errors import NcsError


def readable(path: str, scratch: str, shape: Sequence[int | None], say: Callable[[str], None]) -> str:
    """The path of `path` (ONNX or IR) in a form the compiler reads, below the folder `scratch` where that is another.

    `shape` is (N, C, H, W) for inputs of four axes, None for what the file says itself; N fills an open batch only.
    Raises NcsError for what cannot be brought into such a form.
    """
    if path.endswith(".onnx"):
        return _onnx(path, scratch, shape, say)
    from ncs.compiler.ir import version_of

    if shape[2]:
        raise NcsError(f"{path}: -is is for a prototxt or an ONNX file; an IR has the size it was made for")
    weights = os.path.splitext(path)[0] + ".bin"
    if not os.path.isfile(weights):
        raise NcsError(f"{path}: the weights of this IR, {os.path.basename(weights)}, are not beside it")
    version = version_of(path)
    if version == 11:
        from ncs.myriad.ir_downgrade import make_older

        return make_older(path, scratch)
    if version != 10:
        raise NcsError(
            "%s is IR v%d; read are v10 (OpenVINO 2020 to 2021.4) and v11: give the ONNX file, or the prototxt and "
            "caffemodel" % (path, version)
        )
    return path


def _onnx(path: str, scratch: str, shape: Sequence[int | None], say: Callable[[str], None]) -> str:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, OSError) as error:
        raise NcsError(f"{path}: this is no ONNX model, or it is cut off ({error})") from error
    constants = {tensor.name for tensor in model.graph.initializer}
    changed = [_settle(path, port, shape) for port in model.graph.input if port.name not in constants]
    if not any(changed):
        return path
    for text in filter(None, changed):
        say(f"{path}: compiled for {text}")
    onnx.load_external_data_for_model(model, os.path.dirname(os.path.abspath(path)))
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    made = os.path.join(scratch, os.path.basename(path))
    onnx.save(model, made)
    return made


def _settle(path: str, port: Any, shape: Sequence[int | None]) -> str:
    """Give an input's open axes numbers, in place; what it became, or "" where nothing changed."""
    dims = port.type.tensor_type.shape.dim
    before = [dim.dim_value for dim in dims]
    wanted = list(shape if len(dims) == 4 else shape[:1]) + [None] * len(dims)
    after = [own or wanted[0] if axis == 0 else wanted[axis] or own for axis, own in enumerate(before)]
    if not all(after):
        names = "x".join(str(dim.dim_value or dim.dim_param or "?") for dim in dims)
        raise NcsError(
            "{}: input '{}' is {}, and a blob has fixed sizes: {}".format(
                path,
                port.name,
                names,
                "-is W H gives them"
                if after[:2] and len(dims) == 4 and all(after[:2])
                else "export the model with the sizes it is to have",
            )
        )
    for dim, size in zip(dims, after):
        dim.dim_value = size
    return "" if after == before else "{} {}".format(port.name, "x".join(map(str, after)))
