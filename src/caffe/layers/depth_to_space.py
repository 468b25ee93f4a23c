"""DepthToSpace: channels become pixels."""

from __future__ import annotations

from caffe.layers._rearrangement import RearrangementLayer
from caffe.layers.base import Example, Shape, register

_AXES = {  # data_format -> (reads the channels as, order of the axes; B is the block)
    "NHWC": ("NHWBBC", "NHBWBC"),
    "NCHW": ("NBBCHW", "NCHBWB"),
    "DCR": ("NBBCHW", "NCHBWB"),
    "CRD": ("NCBBHW", "NCHBWB"),
}


@register
class DepthToSpace(RearrangementLayer):
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

    def steps(self, shape: Shape) -> tuple[Shape, Shape]:
        """Return the shape as which the bottom is read, and the order of its axes in the top."""
        p = self.param.depth_to_space_param
        count, height, width, channels = shape if p.data_format == "NHWC" else (shape[0], *shape[2:], shape[1])
        sizes = {"N": count, "H": height, "W": width, "C": channels // p.block_size**2, "B": p.block_size}
        source, target = _AXES[p.data_format]
        rows, columns = (i for i, axis in enumerate(source) if axis == "B")
        blocks = iter((rows, columns))
        order = tuple(next(blocks) if axis == "B" else source.index(axis) for axis in target)
        return tuple(sizes[axis] for axis in source), order
