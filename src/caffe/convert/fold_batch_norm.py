"""Fold BatchNorm and Scale layers into the weights of the preceding layer.

At inference they only multiply and add per channel, so Convolution, BatchNorm and Scale become one convolution with
bias. A normalisation that cannot be folded (for example after a sum) becomes one Scale layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from caffe.proto import caffe_pb2


def fold_norm(
    param: caffe_pb2.NetParameter, weights: Mapping[str, Sequence[np.ndarray]]
) -> tuple[caffe_pb2.NetParameter, dict[str, list[np.ndarray]]]:
    """Fold BatchNorm and Scale layers of a deploy net; the outputs are the same up to rounding.

    Parameters
    ----------
    param : NetParameter
        Deploy net (V2) whose BatchNorm layers use their accumulated statistics.
    weights : mapping
        Layer name -> arrays in Caffe's order.

    Returns
    -------
    param : NetParameter
        The net without BatchNorm and with as few Scale layers as possible.
    weights : dict
        Its weights.
    """
    out = caffe_pb2.NetParameter()
    out.CopyFrom(param)
    weights = {name: list(arrays) for name, arrays in weights.items()}
    kept: list[caffe_pb2.LayerParameter] = []
    for layer in map(lambda layer: _as_scale(layer, weights), out.layer):
        producer = _foldable_producer(layer, kept, param.layer) if _is_per_channel(layer) else None
        if producer is None:
            kept.append(layer)
        else:
            _fold_into(producer, layer, weights)
    layers = [caffe_pb2.LayerParameter.FromString(layer.SerializeToString()) for layer in kept]
    del out.layer[:]
    out.layer.extend(layers)
    return out, {layer.name: list(weights[layer.name]) for layer in layers if layer.name in weights}


def _as_scale(layer, weights):
    """Return a BatchNorm as the equivalent Scale; other layers unchanged."""
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


def _is_per_channel(layer):
    """Return whether a layer applies one learned factor (and offset) per channel."""
    p = layer.scale_param
    return layer.type == "Scale" and len(layer.bottom) == 1 and p.axis == 1 and p.num_axes == 1


def _foldable_producer(layer, kept, layers):
    """Return the layer of `kept` to fold `layer` into: it produces a blob that only `layer` reads, and is linear."""
    blob = layer.bottom[0]
    consumers = [other.name for other in layers if blob in other.bottom and other.name != layer.name]
    in_place = layer.top[0] == blob
    producer = next((previous for previous in reversed(kept) if blob in previous.top), None)
    if producer is None or len(producer.top) > 1 or (consumers and not in_place):
        return None
    if in_place and any(blob in previous.bottom for previous in kept if previous is not producer):
        return None
    if getattr(_parameters(producer), "relu", False):  # intel/caffe's ReLU inside the layer: it is not linear
        return None
    dense = producer.inner_product_param
    is_dense = producer.type == "InnerProduct" and dense.axis == 1 and not (dense.transpose or dense.normalize)
    return producer if producer.type == "Convolution" or is_dense or _is_per_channel(producer) else None


def _fold_into(producer, layer, weights):
    """Multiply the producer's weights by the layer's factors; its bias becomes bias * factor + offset."""
    factor = np.asarray(weights[layer.name][0], np.float64)
    offset = np.asarray(weights[layer.name][1], np.float64) if layer.scale_param.bias_term else 0.0
    kernel, *bias = (np.asarray(array, np.float64) for array in weights[producer.name])
    kernel = kernel * factor.reshape(-1, *[1] * (kernel.ndim - 1))
    shift = (bias[0] if bias else 0.0) * factor + offset
    weights[producer.name] = [kernel.astype(np.float32), shift.astype(np.float32)]
    _parameters(producer).bias_term = True
    producer.top[0] = layer.top[0]


def _parameters(layer):
    """Return the parameter message with the field bias_term."""
    return {"Convolution": layer.convolution_param, "InnerProduct": layer.inner_product_param}.get(
        layer.type, layer.scale_param
    )
