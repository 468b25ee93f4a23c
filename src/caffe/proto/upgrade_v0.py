"""V0 nets, as written until 2013: one message with all settings, types as small words, padding as a layer."""

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
# V0 field -> V0 layer type -> where it lives since V1. Other layer types do not know the field.
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
    """Whether any layer is of generation V0: `layers { layer { … } }`."""
    return any(layer.HasField("layer") for layer in net.layers)


def upgrade(net: Any, where: list[str], filename: str) -> None:
    """Make the layers of `net` V1 layers, in place; `where` (a place for each) loses the padding layers."""
    old = list(zip(net.layers, where))
    mixed = [place for layer, place in old if not layer.HasField("layer")]
    faults = [f"{place}: a V1 layer among V0 layers" for place in mixed]
    pads = _paddings(net, where, faults)
    new = caffe_pb2.NetParameter()
    for index, (layer, place) in enumerate(old):
        if layer.layer.type not in ("padding", *TYPES):
            known = did_you_mean(layer.layer.type, TYPES)
            faults.append(f"{place}: unknown V0 layer type '{layer.layer.type}'{known}")
        elif layer.layer.type != "padding":
            _upgrade_layer(layer, new.layers.add(), pads.get(index), place)
    if faults:
        raise CaffeError("\n".join(faults))
    where[:] = [place for layer, place in old if layer.layer.type != "padding"]
    del net.layers[:]
    net.layers.MergeFrom(new.layers)


def _paddings(net: Any, where: list[str], faults: list[str]) -> dict[int, Any]:
    """Return, for the index of each layer fed by a padding layer, that padding layer."""
    source: dict[str, int | None] = dict.fromkeys(net.input)  # blob -> index of its last maker
    found: dict[int, Any] = {}
    for index, layer in enumerate(net.layers):
        for bottom in layer.bottom:
            if bottom not in source:
                faults.append(f"{where[index]}: no layer before makes the blob '{bottom}'")
                continue
            made = source[bottom]
            if made is None or net.layers[made].layer.type != "padding":
                continue
            maker = net.layers[made]
            if layer.layer.type not in ("conv", "pool") or len(layer.bottom) != 1:
                faults.append(f"{where[index]}: a padding layer may only feed one conv or pool layer")
            elif len(maker.bottom) != 1 or len(maker.top) != 1:
                faults.append(f"{where[made]}: a padding layer takes one blob and makes one")
            else:
                found[index] = maker
        source.update(dict.fromkeys(layer.top, index))
    return found


def _upgrade_layer(old: Any, new: Any, padding: Any, place: str) -> None:
    v0 = old.layer
    new.bottom.extend(padding.bottom if padding else old.bottom)
    new.top.extend(old.top)
    if v0.HasField("name"):
        new.name = v0.name
    new.type = caffe_pb2.V1LayerParameter.LayerType.Value(TYPES[v0.type])
    new.blobs.MergeFrom(v0.blobs)
    new.blobs_lr.extend(v0.blobs_lr)
    new.weight_decay.extend(v0.weight_decay)
    for name, homes in MOVES.items():
        if not v0.HasField(name):
            continue
        home = homes.get(v0.type) or homes.get(_ANY)
        if home:
            _set(new, home, getattr(v0, name))
        else:
            text = "%s: %s means nothing to a V0 layer of type '%s': left out"
            glog.error(text % (place, name, v0.type), "upgrade_proto.cpp:206")
    if padding:
        _set(new, MOVES["pad"][v0.type], padding.layer.pad)


def _set(message: Any, path: str, value: Any) -> None:
    """Set or, where it is a list, fill the field at a dotted path."""
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
