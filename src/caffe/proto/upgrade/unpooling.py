"""Reads Unpooling of DeconvNet (Noh et al. 2015) and derived nets: the maxima return to the positions of a mask.

It is SegNet's Upsample where the size of the top is given, or windows do not overlap. The settings are in
unpooling_param, or in pooling_param. Other forms keep their type, which is unknown.
"""

from __future__ import annotations

from typing import Any

from caffe.core import glog


def rewrite(net: Any, filename: str) -> None:
    """Change these layers in a V2 NetParameter, which is logged."""
    found = [layer for layer in net.layer if layer.type == "Unpooling" and _rewrite(layer)]
    if found:
        glog.info(f"{filename}: the {len(found)} layers Unpooling are read as Upsample")


def _rewrite(layer: Any) -> bool:
    own = layer.HasField("unpooling_param")
    p = layer.unpooling_param if own else layer.pooling_param
    maximum = p.unpool == p.MAX if own else p.pool == p.MAX
    stride = p.stride if p.HasField("stride") else 1
    if len(layer.bottom) != 2 or not maximum:
        return False
    if own and p.unpool_size:
        layer.upsample_param.upsample_h = layer.upsample_param.upsample_w = p.unpool_size
    elif p.kernel_size == stride and not p.pad:
        layer.upsample_param.scale = stride
    else:
        return False
    layer.type = "Upsample"
    layer.ClearField("unpooling_param" if own else "pooling_param")
    return True
