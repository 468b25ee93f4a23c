"""Takes the Transform's mean and scale into the graph, so that a device is fed the picture's bytes as they are."""

from __future__ import annotations

import dataclasses

import numpy as np

from ncs.errors import NcsError

_UINT8 = 2  # of ONNX's TensorProto


@dataclasses.dataclass(frozen=True)
class Folded:
    """What was folded: (pixel - mean) * scale; `mean` broadcasts to the input's (C, H, W) or is None."""

    mean: np.ndarray | None
    scale: float

    def error(self):
        """(in half precision, in float32): the greatest difference from exact arithmetic over pixels 0 to 255.

        A device that works in FP16 holds bytes exactly; it rounds the mean, the difference and the product.
        """
        pixels = np.arange(256, dtype=np.float64)
        means = np.zeros(1) if self.mean is None else np.unique(self.mean)
        return tuple(max(_worst(kind, pixels, mean, self.scale) for mean in means) for kind in (np.float16, np.float32))

    def cost(self):
        """A sentence for the user: what the fold adds to the graph, and what it does to the numbers."""
        size = 0 if self.mean is None else self.mean.size * 2
        half, _ = self.error()
        return (
            "-ip U8: a conversion%s%s (%d bytes of constants) are in the graph now; in FP16 the net's input differs by "
            "at most %.3g from float32"
            % (
                ", a subtraction of the mean" if self.mean is not None else "",
                ", a scaling" if self.scale != 1 else "",
                size,
                half,
            )
        )


def _worst(kind, pixels, mean, scale):
    rounded = (pixels.astype(kind) - kind(mean)) * kind(scale)
    return float(np.abs(rounded.astype(np.float64) - (pixels - np.float64(mean)) * scale).max())


def preprocessing_of(transform, shape):
    """What `transform` does after resizing and cropping, for a net whose input is `shape` (N, C, H, W).

    Raises NcsError when that is not the same for every picture of that size, or does not fit.
    """
    if transform.mean is None:
        return Folded(None, transform.scale)
    height, width = transform.size or shape[2:]
    zeros = np.zeros((shape[1], height, width), np.float32)
    mean = -transform.replace(scale=1.0, mirror=False).planes(zeros)
    if mean.shape != tuple(shape[1:]):
        raise NcsError(
            f"-ip U8: the mean is {mean.shape} where the net's input is {tuple(shape[1:])}; give the Transform the net's size or crop"
        )
    flat = mean.reshape(shape[1], -1)
    if (flat == flat[:, :1]).all():
        mean = mean[:, :1, :1]
    return Folded(np.ascontiguousarray(mean), transform.scale)


def fold(export, what):
    """Return the Export with a uint8 input, converted and taken through `what` (Folded) before anything else."""
    from onnx import helper

    ((source, shape),) = export.inputs
    taken = {name for node in export.nodes for name in [*node.input, *node.output]} | {source}
    nodes, constants, current = [], [], source

    def step(kind, inputs, hint, **attributes):
        name = source + "@" + hint
        if name in taken:
            raise NcsError(f"the net has a blob called '{name}'; rename it")
        nodes.append(helper.make_node(kind, inputs, [name], name=name, doc_string=source, **attributes))
        return name

    current = step("Cast", [current], "float", to=1)
    if what.mean is not None:
        constants.append((source + "@mean", what.mean[None].astype(np.float32)))
        current = step("Sub", [current, source + "@mean"], "centred")
    if what.scale != 1:
        constants.append((source + "@scale", np.array([what.scale], np.float32)))
        current = step("Mul", [current, source + "@scale"], "scaled")
    for node in export.nodes:
        node.input[:] = [current if name == source else name for name in node.input]
    return dataclasses.replace(
        export, nodes=nodes + list(export.nodes), constants=constants + list(export.constants), types={source: _UINT8}
    )
