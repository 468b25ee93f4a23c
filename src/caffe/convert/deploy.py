"""Convert a train_val NetParameter to a deploy NetParameter with a sequence of passes.

They do what Caffe's users do by hand: data layers become an Input, losses become the layer they contain
(SoftmaxWithLoss a Softmax named `prob`), layers that need labels and Dropout are removed. Layers with weights keep
their names, so snapshots of the training net can be loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from caffe.convert import data_shapes
from caffe.core import glog, unknown_types
from caffe.errors import CaffeError
from caffe.layers import base, load
from caffe.net import filter_and_split
from caffe.proto import caffe_pb2


def deploy(param: caffe_pb2.NetParameter, input_shape: Sequence[int | None] | None = None) -> caffe_pb2.NetParameter:
    """Convert a training net to the deploy net.

    Parameters
    ----------
    param : NetParameter
        Training net in V2 format.
    input_shape : (N, C, H, W), optional
        Shape of the input. Dimensions that are None, and all by default, come from the net: the shape of an Input
        layer, or one image of the crop size or database of the TEST data layer.

    Returns
    -------
    NetParameter

    Raises
    ------
    CaffeError
        If the net has no input, or its shape is unknown.
    """
    _check_types(param)
    return reduce(lambda net, step: step(net), passes(input_shape), param)


def _check_types(param: caffe_pb2.NetParameter) -> None:
    """Raise one CaffeError that names every layer of an unknown type."""
    load()
    states = [filter_and_split.net_state(phase) for phase in (caffe_pb2.TEST, caffe_pb2.TRAIN)]
    used = [layer for layer in param.layer if any(filter_and_split.included(layer, state) for state in states)]
    unknown = [layer for layer in used if layer.type not in base.registry]
    errors = [
        f"layer '{layer.name}': unknown type '{layer.type}'{unknown_types.hint(layer.type, base.registry)}"
        for layer in unknown
    ]
    if errors:
        raise CaffeError("\n".join(errors))


def passes(
    input_shape: Sequence[int | None] | None = None,
) -> list[Callable[[caffe_pb2.NetParameter], caffe_pb2.NetParameter]]:
    """Return the passes in order; each maps a NetParameter to a NetParameter."""
    return [
        keep_test_phase,
        lambda net: replace_data_with_input(net, input_shape),
        replace_losses,
        drop_label_of_softmax,
        remove_label_consumers,
        fold_dropout,
        strip_training_fields,
    ]


def _copy(net, layers=None):
    out = caffe_pb2.NetParameter()
    out.CopyFrom(net)
    if layers is not None:
        del out.layer[:]
        out.layer.extend(layers)
    return out


def _type(layer):
    load()
    return base.registry[layer.type]  # `_check_types` has found the unknown ones


def keep_test_phase(net: caffe_pb2.NetParameter) -> caffe_pb2.NetParameter:
    """Keep the layers of phase TEST, plus the losses of phase TRAIN if TEST has none."""
    kept, losses = (
        [
            layer
            for layer in net.layer
            if filter_and_split.included(layer, filter_and_split.net_state(phase))
            and (phase == caffe_pb2.TEST or _type(layer).is_loss)
        ]
        for phase in (caffe_pb2.TEST, caffe_pb2.TRAIN)
    )
    kept = kept if any(_type(layer).is_loss for layer in kept) else kept + losses
    if any(_type(layer).is_data or layer.type == "Input" for layer in kept):
        return _copy(net, kept)
    training = filter_and_split.net_state(caffe_pb2.TRAIN)  # TEST's data may need a stage
    data = [layer for layer in net.layer if _type(layer).is_data and filter_and_split.included(layer, training)]
    return _copy(net, data + kept)


def replace_data_with_input(
    net: caffe_pb2.NetParameter, input_shape: Sequence[int | None] | None = None
) -> caffe_pb2.NetParameter:
    """Replace every data layer by an Input with its first top, without the labels."""
    layers, has_input = [], False
    for layer in net.layer:
        if layer.type != "Input" and _type(layer).is_data:
            own = data_shapes.item_shape(layer)
            if own is None:
                layer = _input(layer.top[0], _shape(layer, input_shape))
            else:
                layer = _resized(_input(layer.top[0], (1, *own)), input_shape or (1,))
        elif layer.type == "Input" and input_shape:
            layer = _resized(layer, input_shape)
        has_input = has_input or layer.type == "Input"
        layers.append(layer)
    if not has_input:
        raise CaffeError(f"net '{net.name}' has no data layer and no Input in its TEST phase")
    return _copy(net, layers)


def _shape(layer, input_shape):
    """Return (N, C, H, W) of a data layer: `input_shape`, with open dimensions taken from the layer."""
    input_shape = input_shape or (None,) * 4
    if None not in input_shape[1:]:
        return (input_shape[0] or 1, *input_shape[1:])
    try:
        layer_shape = (1, *image_shape(layer))
    except CaffeError:
        if None in input_shape[2:]:
            raise
        layer_shape = (1, 3, 0, 0)  # the database is missing: assume colour images
    return tuple(requested or default for requested, default in zip(input_shape, layer_shape))


def _resized(layer, input_shape):
    """Return an Input whose four-axis tops have the shape `input_shape`; other tops only change their batch size."""
    layer = _clone(layer)
    for shape in layer.input_param.shape:
        dims = list(shape.dim)
        requested = input_shape if len(dims) == 4 else input_shape[:1]
        shape.dim[:] = [new or old for new, old in zip(requested, dims)] + dims[len(requested) :]
    return layer


def _input(top, shape):
    layer = caffe_pb2.LayerParameter(name=top, type="Input", top=[top])
    layer.input_param.shape.add().dim.extend(shape)
    return layer


def image_shape(layer: caffe_pb2.LayerParameter) -> tuple[int, int, int]:
    """Return (channels, height, width) of a data layer's output: its crop size, or the image size in its database."""
    transform, images, memory = layer.transform_param, layer.image_data_param, layer.memory_data_param
    if layer.type == "MemoryData":
        return memory.channels, memory.height, memory.width
    if layer.type == "ImageData" and images.new_height:
        side = (transform.crop_size,) * 2 if transform.crop_size else (images.new_height, images.new_width)
        return (3 if images.is_color else 1, *side)
    if transform.crop_size:
        gray = len(transform.mean_value) == 1 or transform.force_gray
        return (1 if gray else 3, transform.crop_size, transform.crop_size)
    return _database_shape(layer)


def _database_shape(layer):
    from caffe.data import datum
    from caffe.data.db import open_db

    if layer.type != "Data":
        raise CaffeError(
            f"layer '{layer.name}' ({layer.type}): the net does not define its image size; "
            "give the input shape (-is W H)"
        )
    with open_db(layer.data_param.source, layer.data_param.backend) as database:
        _, value = next(database.at(0))
        array, _ = datum.decode(value)
    return array.shape


def replace_losses(net: caffe_pb2.NetParameter) -> caffe_pb2.NetParameter:
    """Replace a loss by the layer it contains, named `prob`.

    Of several losses, those with the largest weight are kept; the others belong to auxiliary heads.
    """
    losses = [layer for layer in net.layer if _type(layer).is_loss]
    heads = [layer for layer in losses if _type(layer).deploys_as]
    largest = max([_weight(layer) for layer in heads], default=0)
    heads = [layer for layer in heads if _weight(layer) == largest]
    existing = {top for layer in net.layer for top in layer.top}
    out = []
    for layer in net.layer:
        if not any(layer is loss for loss in losses):
            out.append(layer)
        elif any(layer is head for head in heads):
            name = "prob" if len(heads) == 1 and "prob" not in existing else layer.bottom[0] + "_prob"
            if name not in existing:
                out.append(_head(layer, name))
    return _copy(net, out)


def _weight(layer):
    return layer.loss_weight[0] if len(layer.loss_weight) else 1.0


def _head(loss, name):
    head = caffe_pb2.LayerParameter(name=name, type=_type(loss).deploys_as, bottom=[loss.bottom[0]], top=[name])
    if loss.HasField("softmax_param") and head.type == "Softmax":
        head.softmax_param.CopyFrom(loss.softmax_param)
    return head


def drop_label_of_softmax(net: caffe_pb2.NetParameter) -> caffe_pb2.NetParameter:
    """Keep only the first bottom of a Softmax that has a label, left over from a SoftmaxWithLoss."""
    layers, tops = [], {top for layer in net.layer for top in layer.top}
    for layer in net.layer:
        if layer.type == "Softmax" and len(layer.bottom) == 2:
            glog.warning(
                f"layer '{layer.name}' (Softmax): bottom '{layer.bottom[1]}' is dropped; a Softmax has no label"
            )
            layer = _clone(layer)
            del layer.bottom[1:]
            if not layer.top:
                layer.top.append("prob" if "prob" not in tops else layer.name)
        layers.append(layer)
    return _copy(net, layers)


def remove_label_consumers(net: caffe_pb2.NetParameter) -> caffe_pb2.NetParameter:
    """Remove layers that read a missing blob (labels), and layers without a meaning at inference."""
    available, out = set(), []
    for layer in net.layer:
        layer_class = _type(layer)
        if layer.type != "Input" and (layer_class.no_onnx or not all(bottom in available for bottom in layer.bottom)):
            continue
        available.update(layer.top)
        out.append(layer)
    return _only_paths_to_heads(_copy(net, out))


def _only_paths_to_heads(net):
    """Remove layers that lead to no head, which replace_losses leaves behind auxiliary losses."""
    heads = {layer.top[0] for layer in net.layer if _is_head(layer)}
    if not heads:
        return net
    needed, kept = set(heads), []
    for layer in reversed(net.layer):
        if any(top in needed for top in layer.top):
            kept.append(layer)
            needed.update(layer.bottom)
    return _copy(net, reversed(kept))


def _is_head(layer):
    return layer.name == "prob" or layer.name.endswith("_prob")


def fold_dropout(net: caffe_pb2.NetParameter) -> caffe_pb2.NetParameter:
    """Remove Dropout, which is the identity in phase TEST; its consumers read its bottom."""
    renamed: dict[str, str] = {}
    out = []
    for layer in net.layer:
        layer = _clone(layer)
        for i, bottom in enumerate(layer.bottom):
            layer.bottom[i] = renamed.get(bottom, bottom)
        if layer.type == "Dropout":
            renamed[layer.top[0]] = layer.bottom[0]
            continue
        for top in layer.top:
            renamed.pop(top, None)
        out.append(layer)
    return _copy(net, out)


def _clone(layer):
    clone = caffe_pb2.LayerParameter()
    clone.CopyFrom(layer)
    return clone


def strip_training_fields(net: caffe_pb2.NetParameter) -> caffe_pb2.NetParameter:
    """Remove fields that have no meaning at inference: phase rules, learning rates, fillers and weights."""
    net = _copy(net)
    for layer in net.layer:
        for field in ("include", "exclude", "param", "blobs", "phase", "propagate_down", "loss_weight"):
            layer.ClearField(field)
        for field, value in layer.ListFields():
            if field.name.endswith("_param") and field.message_type is not None:
                for name in ("weight_filler", "bias_filler", "filler"):
                    if name in value.DESCRIPTOR.fields_by_name:
                        value.ClearField(name)
    net.ClearField("force_backward")
    net.ClearField("state")
    return net
