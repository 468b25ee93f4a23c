"""Pooling3D: pooling over three axes, of C3D, P3D and Synopsys."""

from __future__ import annotations

from typing import Any

from caffe.errors import CaffeError
from caffe.layers.base import Example, register
from caffe.layers.pooling import Pooling
from caffe.proto import caffe_pb2

_DEPTH = {  # the field of the first axis: C3D, P3D, Synopsys
    "kernel_size": ("kernel_depth", "kernel_l", "kernel_d"),
    "stride": ("temporal_stride", "stride_l", "stride_d"),
}


@register
class Pooling3D(Pooling):
    """Pooling of N x C x L x H x W over L, H and W, with the fields of pooling3d_param.

    kernel_size, stride and pad are for H and W, or kernel_h and kernel_w (Synopsys). Those of L are kernel_depth and
    temporal_stride (C3D), kernel_l, stride_l and pad_l (P3D), or kernel_d and stride_d (Synopsys). As in Pooling, the
    number of windows is rounded up; Synopsys' layer rounds down without ceil_mode. Source: Tran et al. 2015.
    """

    num_top = 1
    examples = (
        Example(
            "pooling3d_param { pool: MAX kernel_size: 2 kernel_depth: 1 stride: 2 temporal_stride: 1 }",
            [(1, 2, 3, 5, 6)],
        ),
        Example(
            "pooling3d_param { pool: AVE kernel_size: 3 stride: 2 kernel_l: 2 stride_l: 2 pad: 1 }", [(1, 2, 4, 5, 6)]
        ),
        Example(
            "pooling3d_param { pool: AVE_EXC_PAD kernel_d: 2 kernel_h: 2 kernel_w: 3 stride: 2 }", [(1, 2, 4, 5, 6)]
        ),
    )

    def __init__(self, param: Any, *args: Any, **kwargs: Any):
        super().__init__(_as_pooling(param), *args, **kwargs)


def _as_pooling(param):
    """Return the layer's parameters with a pooling_param."""
    p, out = param.pooling3d_param, caffe_pb2.LayerParameter()
    out.CopyFrom(param)
    to = out.pooling_param
    to.pool = caffe_pb2.PoolingParameter.PoolMethod.Value(p.PoolMethod.Name(p.pool))
    if p.global_pooling:
        to.global_pooling = True
    else:
        to.kernel_size_3d.extend(_values(p, "kernel_size", "kernel"))
        to.stride_3d.extend(_values(p, "stride", "stride"))
        to.pad_3d.extend(_pads(p))
    synopsys = not any(p.HasField(name) for names in _DEPTH.values() for name in names[:2])
    if synopsys and not p.ceil_mode:
        to.round_mode = caffe_pb2.PoolingParameter.FLOOR
    return out


def _values(p, name, short):
    """Return the values of `name` for L, H and W."""
    depth = [field for field in _DEPTH[name] if p.HasField(field)]
    fields = [depth[0] if depth else name] + [f"{short}_{s}" if p.HasField(f"{short}_{s}") else name for s in "hw"]
    if depth and depth[0] == "kernel_l" and not p.HasField("kernel_size"):
        raise CaffeError("pooling3d_param needs a kernel_size")
    return [getattr(p, field) for field in fields]


def _pads(p):
    pads = []
    for axis, common in (("d", p.pad_l if p.HasField("kernel_l") else 0), ("h", p.pad), ("w", p.pad)):
        first, last = (getattr(p, f"pad_{axis}{end}") or common for end in "01")
        if first != last:
            raise CaffeError(f"pooling3d_param: pad_{axis}0 {first} and pad_{axis}1 {last} must be equal")
        pads.append(first)
    return pads
