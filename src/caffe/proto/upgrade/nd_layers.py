"""Reads the layers NdConvolution and NdPooling of C3D 1.1's ND branch, whose sizes are BlobShapes.

They are Caffe's Convolution and Pooling with one size per axis.
"""

from __future__ import annotations

from typing import Any

from caffe.core import glog

_TYPES = {"NdConvolution": "convolution_param", "NdPooling": "pooling_param"}


def rewrite(net: Any, filename: str) -> None:
    """Change these layers in a V2 NetParameter, which is logged."""
    found = [layer for layer in net.layer if layer.type in _TYPES]
    for layer in found:
        p = getattr(layer, _TYPES[layer.type])
        layer.type = layer.type.removeprefix("Nd")
        for shape, name in (("kernel_shape", "kernel_size"), ("stride_shape", "stride"), ("pad_shape", "pad")):
            if p.HasField(shape):
                getattr(p, name if layer.type == "Convolution" else name + "_3d").extend(getattr(p, shape).dim)
                p.ClearField(shape)
    if found:
        glog.info(
            f"{filename}: the {len(found)} layers NdConvolution and NdPooling are read as Convolution and Pooling"
        )
