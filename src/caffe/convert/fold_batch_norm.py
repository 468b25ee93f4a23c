"""Batch normalisation and scales taken into the weights before them: at inference they are factors and offsets only.

A deploy net then has convolutions with biases where the training had Convolution, BatchNorm and Scale. What cannot go into
weights (a normalisation behind a sum, say) becomes one Scale layer.
"""

from __future__ import annotations

import numpy as np

from caffe.proto import caffe_pb2


def fold_norm(param, weights):
    """(NetParameter, {layer: [arrays]}) -> the same without BatchNorm and with as few Scale layers as can be.

    `param` is a deploy net (V2) whose BatchNorm uses its accumulated statistics, `weights` has the arrays of its layers in
    Caffe's order. The answers are the same up to rounding.
    """
    out = caffe_pb2.NetParameter()
    out.CopyFrom(param)
    weights = {name: list(arrays) for name, arrays in weights.items()}
    kept = []
    for layer in map(lambda layer: _as_scale(layer, weights), out.layer):
        maker = _maker(layer, kept, param.layer) if _by_channel(layer) else None
        if maker is None:
            kept.append(layer)
        else:
            _take_in(maker, layer, weights)
    layers = [caffe_pb2.LayerParameter.FromString(layer.SerializeToString()) for layer in kept]
    del out.layer[:]
    out.layer.extend(layers)
    return out, {layer.name: weights[layer.name] for layer in layers if layer.name in weights}


def _as_scale(layer, weights):
    """A BatchNorm as the Scale that it is at inference; other layers as they are."""
    if layer.type != "BatchNorm" or layer.batch_norm_param.relu or layer.batch_norm_param.fused_relu:
        return layer
    mean, variance, weight, *learned = (np.asarray(array, np.float64) for array in weights[layer.name])
    total, p = weight.item() or 1.0, layer.batch_norm_param
    variance = variance / total
    factor = 1 / (np.sqrt(variance + p.eps) if p.add_eps_before_sqrt else np.sqrt(variance) + p.eps)
    factor *= learned[0] if learned else 1
    addend = learned[1] if len(learned) > 1 else 0
    scale = caffe_pb2.LayerParameter(name=layer.name, type="Scale", bottom=layer.bottom, top=layer.top)
    scale.scale_param.bias_term = True
    weights[layer.name] = [factor.astype(np.float32), (addend - mean / total * factor).astype(np.float32)]
    return scale


def _by_channel(layer):
    """Whether a layer is one learned factor (and offset) a channel."""
    p = layer.scale_param
    return layer.type == "Scale" and len(layer.bottom) == 1 and p.axis == 1 and p.num_axes == 1


def _maker(layer, kept, layers):
    """The layer of `kept` into which `layer` can go: it makes what `layer` alone reads, and is linear in its weights."""
    blob = layer.bottom[0]
    readers = [other.name for other in layers if blob in other.bottom and other.name != layer.name]
    in_place = layer.top[0] == blob
    maker = next((before for before in reversed(kept) if blob in before.top), None)
    if maker is None or len(maker.top) > 1 or (readers and not in_place):
        return None
    if in_place and any(blob in before.bottom for before in kept if before is not maker):
        return None
    dense = (
        maker.type == "InnerProduct" and maker.inner_product_param.axis == 1 and not maker.inner_product_param.transpose
    )
    if getattr(_parameters(maker), "relu", False):  # intel/caffe's: what is behind it does not see a linear layer
        return None
    return maker if maker.type == "Convolution" or dense or _by_channel(maker) else None


def _take_in(maker, layer, weights):
    """Multiply `maker`'s weights by the layer's factors; its bias becomes bias * factor + offset."""
    factor = np.asarray(weights[layer.name][0], np.float64)
    offset = np.asarray(weights[layer.name][1], np.float64) if layer.scale_param.bias_term else 0.0
    kernel, *bias = (np.asarray(array, np.float64) for array in weights[maker.name])
    kernel = kernel * factor.reshape(-1, *[1] * (kernel.ndim - 1))
    bias = (bias[0] if bias else 0.0) * factor + offset
    weights[maker.name] = [kernel.astype(np.float32), bias.astype(np.float32)]
    _parameters(maker).bias_term = True
    maker.top[0] = layer.top[0]


def _parameters(layer):
    """The message of a layer that says whether it has a bias."""
    return {"Convolution": layer.convolution_param, "InnerProduct": layer.inner_product_param}.get(
        layer.type, layer.scale_param
    )
