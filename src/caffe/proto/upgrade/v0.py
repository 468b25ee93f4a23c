"""Upgrade V0 nets (until 2013): one message with all parameters, lower-case layer types, padding as a layer."""

from __future__ import annotations

from typing import Any

from caffe.core import glog
from caffe.errors import CaffeError, did_you_mean
from caffe.proto import caffe_pb2

TYPES = {
    "accuracy": "ACCURACY", "bnll": "BNLL", "concat": "CONCAT", "conv": "CONVOLUTION", "data": "DATA",
    "dropout": "DROPOUT", "euclidean_loss": "EUCLIDEAN_LOSS", "flatten": "FLATTEN",
    "hdf5_data": "HDF5_DATA", "hdf5_output": "HDF5_OUTPUT", "im2col": "IM2COL", "images": "IMAGE_DATA",
    "infogain_loss": "INFOGAIN_LOSS", "innerproduct": "INNER_PRODUCT", "lrn": "LRN",
    "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS", "pool": "POOLING", "relu": "RELU",
    "sigmoid": "SIGMOID", "softmax": "SOFTMAX", "softmax_loss": "SOFTMAX_LOSS", "split": "SPLIT",
    "tanh": "TANH", "window_data": "WINDOW_DATA",
}  # fmt: skip

_ANY = ""
# V0 field -> V0 layer type -> path in V1. Other layer types do not have the field.
MOVES = {
    "num_output": {"conv": "convolution_param.num_output", "innerproduct": "inner_product_param.num_output"},
    "biasterm": {"conv": "convolution_param.bias_term", "innerproduct": "inner_product_param.bias_term"},
    "weight_filler": {
        "conv": "convolution_param.weight_filler",
        "innerproduct": "inner_product_param.weight_filler",
    },
    "bias_filler": {
        "conv": "convolution_param.bias_filler",
        "innerproduct": "inner_product_param.bias_filler",
    },
    "pad": {"conv": "convolution_param.pad", "pool": "pooling_param.pad"},
    "kernelsize": {"conv": "convolution_param.kernel_size", "pool": "pooling_param.kernel_size"},
    "group": {"conv": "convolution_param.group"},
    "stride": {"conv": "convolution_param.stride", "pool": "pooling_param.stride"},
    "pool": {"pool": "pooling_param.pool"},
    "dropout_ratio": {"dropout": "dropout_param.dropout_ratio"},
    "local_size": {"lrn": "lrn_param.local_size"},
    "alpha": {"lrn": "lrn_param.alpha"},
    "beta": {"lrn": "lrn_param.beta"},
    "k": {"lrn": "lrn_param.k"},
    "source": {
        "data": "data_param.source",
        "hdf5_data": "hdf5_data_param.source",
        "images": "image_data_param.source",
        "window_data": "window_data_param.source",
        "infogain_loss": "infogain_loss_param.source",
    },
    "scale": {_ANY: "transform_param.scale"},
    "meanfile": {_ANY: "transform_param.mean_file"},
    "batchsize": {
        "data": "data_param.batch_size",
        "hdf5_data": "hdf5_data_param.batch_size",
        "images": "image_data_param.batch_size",
        "window_data": "window_data_param.batch_size",
    },
    "cropsize": {_ANY: "transform_param.crop_size"},
    "mirror": {_ANY: "transform_param.mirror"},
    "rand_skip": {"data": "data_param.rand_skip", "images": "image_data_param.rand_skip"},
    "shuffle_images": {"images": "image_data_param.shuffle"},
    "new_height": {"images": "image_data_param.new_height"},
    "new_width": {"images": "image_data_param.new_width"},
    "concat_dim": {"concat": "concat_param.concat_dim"},
    "det_fg_threshold": {"window_data": "window_data_param.fg_threshold"},
    "det_bg_threshold": {"window_data": "window_data_param.bg_threshold"},
    "det_fg_fraction": {"window_data": "window_data_param.fg_fraction"},
    "det_context_pad": {"window_data": "window_data_param.context_pad"},
    "det_crop_mode": {"window_data": "window_data_param.crop_mode"},
    "hdf5_output_param": {"hdf5_output": "hdf5_output_param"},
}


def needed(net: Any) -> bool:
    """Return whether the net has V0 layers: `layers { layer { … } }`."""
    return any(layer.HasField("layer") for layer in net.layers)


def upgrade(net: Any, where: list[str], filename: str) -> None:
    """Upgrade the layers of `net` to V1 in place; padding layers are removed, also from `where` (their locations)."""
    old = list(zip(net.layers, where))
    mixed = [location for layer, location in old if not layer.HasField("layer")]
    errors = [f"{location}: a V1 layer among V0 layers" for location in mixed]
    paddings = _paddings(net, where, errors)
    new = caffe_pb2.NetParameter()
    for index, (layer, location) in enumerate(old):
        if layer.layer.type not in ("padding", *TYPES):
            hint = did_you_mean(layer.layer.type, TYPES)
            errors.append(f"{location}: unknown V0 layer type '{layer.layer.type}'{hint}")
        elif layer.layer.type != "padding":
            _upgrade_layer(layer, new.layers.add(), paddings.get(index), location)
    if errors:
        raise CaffeError("\n".join(errors))
    where[:] = [location for layer, location in old if layer.layer.type != "padding"]
    del net.layers[:]
    net.layers.MergeFrom(new.layers)


def _paddings(net: Any, where: list[str], errors: list[str]) -> dict[int, Any]:
    """Map the index of each layer fed by a padding layer to that padding layer."""
    producers: dict[str, int | None] = dict.fromkeys(net.input)  # blob -> index of the last layer that writes it
    paddings: dict[int, Any] = {}
    for index, layer in enumerate(net.layers):
        for bottom in layer.bottom:
            if bottom not in producers:
                errors.append(f"{where[index]}: no earlier layer produces the blob '{bottom}'")
                continue
            producer = producers[bottom]
            if producer is None or net.layers[producer].layer.type != "padding":
                continue
            padding = net.layers[producer]
            if layer.layer.type not in ("conv", "pool") or len(layer.bottom) != 1:
                errors.append(f"{where[index]}: a padding layer may only feed one conv or pool layer")
            elif len(padding.bottom) != 1 or len(padding.top) != 1:
                errors.append(f"{where[producer]}: a padding layer must have one bottom and one top")
            else:
                paddings[index] = padding
        producers.update(dict.fromkeys(layer.top, index))
    return paddings


def _upgrade_layer(old: Any, new: Any, padding: Any, location: str) -> None:
    v0 = old.layer
    new.bottom.extend(padding.bottom if padding else old.bottom)
    new.top.extend(old.top)
    if v0.HasField("name"):
        new.name = v0.name
    new.type = caffe_pb2.V1LayerParameter.LayerType.Value(TYPES[v0.type])
    new.blobs.MergeFrom(v0.blobs)
    new.blobs_lr.extend(v0.blobs_lr)
    new.weight_decay.extend(v0.weight_decay)
    for name, paths in MOVES.items():
        if not v0.HasField(name):
            continue
        path = paths.get(v0.type) or paths.get(_ANY)
        if path:
            _set(new, path, getattr(v0, name))
        else:
            text = f"{location}: ignored {name}, which a V0 layer of type '{v0.type}' does not have"
            glog.error(text, "upgrade_proto.cpp:206")
    if padding:
        _set(new, MOVES["pad"][v0.type], padding.layer.pad)


def _set(message: Any, path: str, value: Any) -> None:
    """Set the field at a dotted path; a repeated field gets one element."""
    *outer, name = path.split(".")
    for part in outer:
        message = getattr(message, part)
    target = getattr(message, name)
    if hasattr(target, "CopyFrom"):
        target.CopyFrom(value)
    elif hasattr(target, "append"):
        del target[:]
        target.append(value)
    else:
        setattr(message, name, value)
