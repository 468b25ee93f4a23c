"""Convolution3D: convolution over three axes, of C3D."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Example, register
from caffe.layers.convolution import Convolution
from caffe.proto import caffe_pb2


@register
class Convolution3D(Convolution):
    """Convolution of N x C x L x H x W over L, H and W, with the fields of convolution3d_param (C3D).

    kernel_size, stride and pad are for H and W, kernel_depth, temporal_stride and temporal_pad for L. filter_group
    divides only the computation, not the connections. Source: Tran et al. 2015.
    """

    examples: tuple = (
        Example(
            "convolution3d_param { num_output: 4 kernel_size: 3 kernel_depth: 2 pad: 1 temporal_pad: 1 stride: 2 "
            'weight_filler { type: "xavier" } }',
            [(1, 2, 3, 5, 6)],
        ),
    )

    def __init__(self, param: Any, *args: Any, **kwargs: Any):
        super().__init__(_as_convolution(param), *args, **kwargs)


def _as_convolution(param):
    """Return the layer's parameters with a convolution_param."""
    p, out = param.convolution3d_param, caffe_pb2.LayerParameter()
    out.CopyFrom(param)
    to = out.convolution_param
    to.num_output, to.bias_term = p.num_output, p.bias_term
    to.kernel_size.extend([p.kernel_depth, p.kernel_size, p.kernel_size])
    to.stride.extend([p.temporal_stride, p.stride, p.stride])
    to.pad.extend([p.temporal_pad, p.pad, p.pad])
    to.weight_filler.CopyFrom(p.weight_filler)
    to.bias_filler.CopyFrom(p.bias_filler)
    return out
