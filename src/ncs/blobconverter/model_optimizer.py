"""The Model Optimizer's flags for the preprocessing, as nodes in front of an ONNX model.

Its order is kept: channels are reversed first, then the mean is subtracted, then the result is divided by the scale.
Mean and scale are in the order of the model's channels.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np

from ncs.errors import NcsError

_IGNORED = (
    "--data_type",
    "--model_name",
    "--input_model",
    "--input_proto",
    "--output_dir",
    "--framework",
    "--progress",
)
_FLAGS = (
    "--mean_values",
    "--scale_values",
    "--scale",
    "-s",
    "--reverse_input_channels",
    "--input_shape",
    "--batch",
    "-b",
)


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """What the flags request; `shape` is (N, C, H, W) with None for the model's own sizes."""

    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    reverse: bool = False
    shape: tuple[int | None, ...] = (1, None, None, None)


def parse_preprocessing(text: str) -> Preprocessing:
    """Return the Preprocessing of the Model Optimizer's flags. Raises NcsError for a flag that is not supported."""
    found = Preprocessing()
    for flag, value in re.findall(r"(--?[a-z_]+)(?:[= ]\s*((?!-)\S+|\[[^\]]*\]))?", text):
        if flag in _IGNORED:
            continue
        if flag not in _FLAGS:
            raise NcsError(f"optimizer_params: '{flag}' is not supported; expected {', '.join(_FLAGS)}")
        found = dataclasses.replace(found, **_change(flag, value))
    return found


def _change(flag: str, value: str) -> dict[str, Any]:
    if flag == "--reverse_input_channels":
        return {"reverse": True}
    numbers = _numbers(flag, value)
    if flag == "--mean_values":
        return {"mean": numbers}
    if flag in ("--scale_values", "--scale", "-s"):
        if 0 in numbers:
            raise NcsError(f"optimizer_params: {flag} contains 0, the divisor of the pixels")
        return {"scale": numbers}
    sizes = tuple(int(number) for number in numbers)
    if flag == "--input_shape" and len(sizes) != 4:
        raise NcsError(f"optimizer_params: --input_shape: expected [N,C,H,W], received {value}")
    return {"shape": sizes if flag == "--input_shape" else (sizes[0], None, None, None)}


def _numbers(flag: str, value: str) -> tuple[float, ...]:
    """Parse 127.5, [1,2,3] or data[1,2,3]."""
    inside = re.fullmatch(r"[^\[\]]*[\[(]([^\[\]()]*)[\])]", value)
    try:
        return tuple(float(number) for number in (inside.group(1) if inside else value).split(","))
    except ValueError:
        raise NcsError(
            f"optimizer_params: {flag}: expected numbers such as [127.5,127.5,127.5], received '{value}'"
        ) from None


def prepend(path: str, target: str, preprocessing: Preprocessing) -> None:
    """Write the ONNX model `path` with the preprocessing in front of its images to `target`."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    ports = [port for port in graph.input if port.name not in constants]
    images = [port for port in ports if len(port.type.tensor_type.shape.dim) == 4]
    if not images:
        raise NcsError(f"{path}: mean, scale and channels apply to images, but no input has four axes")
    nodes = [node for port in images for node in _nodes(path, graph, port, preprocessing)]
    renamed = {port.name: port.name + "@preprocessed" for port in images}
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    body = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *body])
    onnx.save(model, target)


def _nodes(path: str, graph: Any, port: Any, preprocessing: Preprocessing) -> list[Any]:
    """Return the nodes of one input; they write NAME@preprocessed."""
    from onnx import helper, numpy_helper

    channels = port.type.tensor_type.shape.dim[1].dim_value
    steps: list[tuple[str, tuple[float, ...]]] = []
    for operator, values in (("Sub", preprocessing.mean), ("Div", preprocessing.scale)):
        if len(values) not in (0, 1, channels):
            raise NcsError(
                f"{path}: input '{port.name}' has {channels} channels, received {len(values)} values: {values}"
            )
        steps += [(operator, values)] if values else []
    nodes, current = [], port.name
    if preprocessing.reverse and channels == 3:
        planes = [f"{port.name}@plane{number}" for number in range(3)]
        nodes.append(helper.make_node("Split", [current], planes, axis=1))
        current = port.name + "@reversed"
        nodes.append(helper.make_node("Concat", planes[::-1], [current], axis=1))
    for operator, values in steps:
        name = f"{port.name}@{operator.lower()}"
        array = np.array(values, np.float64).reshape(1, -1, 1, 1)
        if operator == "Div":  # the chip multiplies
            array, operator = 1 / array, "Mul"
        graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name + "@values"))
        nodes.append(helper.make_node(operator, [current, name + "@values"], [name]))
        current = name
    nodes.append(helper.make_node("Identity", [current], [port.name + "@preprocessed"]))
    return nodes
