"""CuDNNBatchNorm: batch normalization of GENet."""

from __future__ import annotations

from typing import Any

from caffe.layers.base import Example, register
from caffe.layers.bn import BN
from caffe.proto import caffe_pb2


@register
class CuDNNBatchNorm(BN):
    """PSPNet's BN (see BN) with the fields of cudnn_batch_norm_param (Hu's Caffe of SENet and GENet).

    The blobs are scale, bias, mean and variance.
    """

    examples = (
        Example("cudnn_batch_norm_param { scale_filler { value: 2 } bias_filler { value: 0.5 } }", [(2, 3, 4, 5)]),
    )

    def __init__(self, param: Any, *args: Any, **kwargs: Any):
        super().__init__(_as_bn(param), *args, **kwargs)


def _as_bn(param):
    """Return the layer's parameters with a bn_param."""
    p, out = param.cudnn_batch_norm_param, caffe_pb2.LayerParameter()
    out.CopyFrom(param)
    for field, name in (("scale_filler", "slope_filler"), ("bias_filler", "bias_filler")):
        if p.HasField(field):
            getattr(out.bn_param, name).CopyFrom(getattr(p, field))
    out.bn_param.frozen, out.bn_param.momentum, out.bn_param.eps = p.frozen, p.momentum, p.eps
    return out
