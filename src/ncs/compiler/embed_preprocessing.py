"""Makes the Transform's mean and scale part of the graph, so that the device takes raw pixels."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from ncs.errors import NcsError

if TYPE_CHECKING:
    from caffe.convert.onnx_export import Export
    from caffe.device.transform import Transform

_UINT8 = 2  # TensorProto.UINT8 of ONNX


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """The preprocessing (pixel - mean) * scale; `mean` broadcasts to the input's (C, H, W) or is None."""

    mean: np.ndarray | None
    scale: float

    def error(self) -> tuple[float, float]:
        """Return the maximum error over pixels 0 to 255 against exact arithmetic: (in FP16, in float32).

        FP16 represents the pixels exactly; it rounds the mean, the difference and the product.
        """
        pixels = np.arange(256, dtype=np.float64)
        means = np.zeros(1) if self.mean is None else np.unique(self.mean)
        half, single = (
            max(_max_error(dtype, pixels, mean, self.scale) for mean in means) for dtype in (np.float16, np.float32)
        )
        return half, single

    def cost(self) -> str:
        """Describe the nodes added to the graph and their rounding error."""
        size = 0 if self.mean is None else self.mean.size * 2
        half, _ = self.error()
        subtraction = ", a subtraction of the mean" if self.mean is not None else ""
        scaling = ", a scaling" if self.scale != 1 else ""
        return (
            f"-ip U8: added to the graph: a conversion{subtraction}{scaling} ({size} bytes of constants); in FP16 the "
            f"net's input differs by at most {half:.3g} from float32"
        )


def _max_error(dtype, pixels, mean, scale):
    rounded = (pixels.astype(dtype) - dtype(mean)) * dtype(scale)
    return float(np.abs(rounded.astype(np.float64) - (pixels - np.float64(mean)) * scale).max())


def preprocessing_of(transform: Transform, shape: tuple[int, ...]) -> Preprocessing:
    """Return what `transform` does after resizing and cropping, for a net with input `shape` (N, C, H, W).

    Raises NcsError if the mean does not have the input's size.
    """
    if transform.mean is None:
        return Preprocessing(None, transform.scale)
    height, width = transform.size or shape[2:]
    zeros = np.zeros((shape[1], height, width), np.float32)
    mean = -transform.replace(scale=1.0, mirror=False).planes(zeros)
    if mean.shape != tuple(shape[1:]):
        raise NcsError(
            f"-ip U8: the mean has shape {mean.shape}, the net's input {tuple(shape[1:])}; "
            "give the Transform the net's size or crop"
        )
    flat = mean.reshape(shape[1], -1)
    if (flat == flat[:, :1]).all():
        mean = mean[:, :1, :1]
    return Preprocessing(np.ascontiguousarray(mean), transform.scale)


def embed(export: Export, preprocessing: Preprocessing) -> Export:
    """Return the Export with a uint8 input and `preprocessing` as its first nodes."""
    from onnx import helper

    ((source, shape),) = export.inputs
    names = {name for node in export.nodes for name in [*node.input, *node.output]} | {source}
    nodes, constants, current = [], [], source

    def add_node(op_type, inputs, suffix, **attributes):
        name = source + "@" + suffix
        if name in names:
            raise NcsError(f"the net already has a blob called '{name}'; rename it")
        nodes.append(helper.make_node(op_type, inputs, [name], name=name, doc_string=source, **attributes))
        return name

    current = add_node("Cast", [current], "float", to=1)
    if preprocessing.mean is not None:
        constants.append((source + "@mean", preprocessing.mean[None].astype(np.float32)))
        current = add_node("Sub", [current, source + "@mean"], "centred")
    if preprocessing.scale != 1:
        constants.append((source + "@scale", np.array([preprocessing.scale], np.float32)))
        current = add_node("Mul", [current, source + "@scale"], "scaled")
    for node in export.nodes:
        node.input[:] = [current if name == source else name for name in node.input]
    return dataclasses.replace(
        export, nodes=nodes + list(export.nodes), constants=constants + list(export.constants), types={source: _UINT8}
    )
