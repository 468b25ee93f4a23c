"""DepthToSpace: channels become pixels."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Example, Layer, Shape, Tensor, register

_AXES = {  # data_format -> (reads the channels as, order of the axes; B is the block)
    "NHWC": ("NHWBBC", "NHBWBC"),
    "NCHW": ("NBBCHW", "NCHBWB"),
    "DCR": ("NBBCHW", "NCHBWB"),
    "CRD": ("NCBBHW", "NCHBWB"),
}


@register
class DepthToSpace(Layer):
    """Moves channels into blocks of block_size x block_size pixels (Synopsys).

    With data_format NHWC (default), NCHW and DCR, the position in the block is the outer part of the channel axis, as
    in TensorFlow and ONNX; with CRD, the inner part.
    """

    in_place = False
    examples = (
        Example("depth_to_space_param { block_size: 2 }", [(1, 3, 4, 8)]),
        Example('depth_to_space_param { block_size: 2 data_format: "DCR" }', [(1, 8, 3, 4)]),
        Example('depth_to_space_param { block_size: 2 data_format: "CRD" }', [(1, 8, 3, 4)]),
    )

    def setup(self, bottom: Shape) -> None:
        p = self.param.depth_to_space_param
        self.need(
            p.data_format in _AXES, "data_format must be one of %s, received '%s'", ", ".join(_AXES), p.data_format
        )
        channels = bottom[3 if p.data_format == "NHWC" else 1]
        self.need(
            p.block_size > 0 and channels % p.block_size**2 == 0, "block_size %d does not fit %s", p.block_size, bottom
        )

    def top_shapes(self, bottom: Shape) -> list[Shape]:
        block = self.param.depth_to_space_param.block_size
        if self.param.depth_to_space_param.data_format == "NHWC":
            return [(bottom[0], bottom[1] * block, bottom[2] * block, bottom[3] // block**2)]
        return [(bottom[0], bottom[1] // block**2, bottom[2] * block, bottom[3] * block)]

    def _steps(self, shape):
        """Return the intermediate shape and the order of its axes."""
        p = self.param.depth_to_space_param
        count, height, width, channels = shape if p.data_format == "NHWC" else (shape[0], *shape[2:], shape[1])
        sizes = {"N": count, "H": height, "W": width, "C": channels // p.block_size**2, "B": p.block_size}
        source, target = _AXES[p.data_format]
        rows, columns = (i for i, axis in enumerate(source) if axis == "B")
        blocks = iter((rows, columns))
        return [sizes[axis] for axis in source], [
            next(blocks) if axis == "B" else source.index(axis) for axis in target
        ]

    def forward(self, x: Tensor) -> Tensor:
        split, order = self._steps(tuple(x.shape))
        return x.reshape(split).permute(order).reshape(self.top_shapes(tuple(x.shape))[0])

    def to_onnx(self, g: Any, bottoms: list[str], tops: list[str]) -> None:
        shape = tuple(g.shape(bottoms[0]))
        split, order = self._steps(shape)
        reshaped, permuted = g.temp("reshaped"), g.temp("permuted")
        g.node("Reshape", [bottoms[0], g.constant(split, "split")], [reshaped])
        g.node("Transpose", [reshaped], [permuted], perm=order)
        g.node("Reshape", [permuted, g.constant(list(self.top_shapes(shape)[0]), "shape")], tops)
