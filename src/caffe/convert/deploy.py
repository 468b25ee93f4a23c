"""From a train_val NetParameter to the deploy NetParameter that answers pictures: a list of small passes.

What Caffe's users did by hand: the data layers become an Input, the losses what they hide (SoftmaxWithLoss a Softmax named
`prob`), everything that needs a label goes, Dropout goes. Weights keep their layer names, so a snapshot of the training fits.
"""

from __future__ import annotations

from functools import reduce

from caffe.errors import CaffeError, did_you_mean
from caffe.layers import base, load
from caffe.net import filter_and_split
from caffe.proto import caffe_pb2
from ncs.errors import NcsError


def deploy(param, input_shape=None):
    """Return the deploy net of `param` (NetParameter, V2).

    `input_shape` is (N, C, H, W) of the pictures, None for what the net says itself: an Input's own shape, or one picture of
    the size that the TEST data layer crops to, or that its database holds.
    """
    return reduce(lambda net, step: step(net), passes(input_shape), param)


def passes(input_shape=None):
    """The passes in order; each takes and gives a NetParameter."""
    return [
        keep_test_phase,
        lambda net: replace_data_with_input(net, input_shape),
        replace_losses,
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
    kind = base.registry.get(layer.type)
    if kind is None:
        raise NcsError(f"layer '{layer.name}': unknown type '{layer.type}'{did_you_mean(layer.type, base.registry)}")
    return kind


def keep_test_phase(net):
    """The layers that the TEST phase includes, and the training's losses where TEST has none."""
    kept, losses = (
        [
            layer
            for layer in net.layer
            if filter_and_split.included(layer, filter_and_split.net_state(phase))
            and (phase == caffe_pb2.TEST or _type(layer).is_loss)
        ]
        for phase in (caffe_pb2.TEST, caffe_pb2.TRAIN)
    )
    return _copy(net, kept if any(_type(layer).is_loss for layer in kept) else kept + losses)


def replace_data_with_input(net, input_shape=None):
    """Every data layer becomes an Input with its first top; the label tops are gone."""
    layers, found = [], False
    for layer in net.layer:
        if layer.type != "Input" and _type(layer).is_data:
            layer = _input(layer.top[0], _shape(layer, input_shape))
        elif layer.type == "Input" and input_shape:
            layer = _resized(layer, input_shape)
        found = found or layer.type == "Input"
        layers.append(layer)
    if not found:
        raise NcsError(f"net '{net.name}' has no data layer and no Input in its TEST phase")
    return _copy(net, layers)


def _shape(layer, wanted):
    """(N, C, H, W) of a data layer's pictures: `wanted`, and what it leaves open as the layer has it."""
    wanted = wanted or (None,) * 4
    if None not in wanted[1:]:
        return (wanted[0] or 1, *wanted[1:])
    try:
        own = (1, *picture_shape(layer))
    except CaffeError:
        if None in wanted[2:]:
            raise
        own = (1, 3, 0, 0)  # a database that is not here: pictures have colours
    return tuple(one or other for one, other in zip(wanted, own))


def _resized(layer, wanted):
    """An Input whose tops of four axes have the shape `wanted`; of others, the batch alone is changed."""
    layer = _clone(layer)
    for shape in layer.input_param.shape:
        own = list(shape.dim)
        news = wanted if len(own) == 4 else wanted[:1]
        shape.dim[:] = [one or other for one, other in zip(news, own)] + own[len(news) :]
    return layer


def _input(top, shape):
    layer = caffe_pb2.LayerParameter(name=top, type="Input", top=[top])
    layer.input_param.shape.add().dim.extend(shape)
    return layer


def picture_shape(layer):
    """(channels, height, width) of what a data layer gives: its crop, or the size of what its database holds."""
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
        raise NcsError(
            f"layer '{layer.name}' ({layer.type}): the size of its pictures is not in the net; give the input shape"
        )
    with open_db(layer.data_param.source, layer.data_param.backend) as database:
        _, value = next(database.at(0))
        array, _ = datum.decode(value)
    return array.shape


def replace_losses(net):
    """A loss becomes the layer that it hides, named `prob`; of several the ones with the greatest weight (others are
    auxiliary heads of the training)."""
    losses = [layer for layer in net.layer if _type(layer).is_loss]
    heads = [layer for layer in losses if _type(layer).deploys_as]
    most = max([_weight(layer) for layer in heads], default=0)
    heads = [layer for layer in heads if _weight(layer) == most]
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


def remove_label_consumers(net):
    """Layers that read a blob which is no longer made (labels) go, and so do those without a meaning at inference."""
    made, out = set(), []
    for layer in net.layer:
        kind = _type(layer)
        if layer.type != "Input" and (kind.no_onnx or not all(bottom in made for bottom in layer.bottom)):
            continue
        made.update(layer.top)
        out.append(layer)
    return _only_paths_from_input(_copy(net, out))


def _only_paths_from_input(net):
    """Heads cut off by replace_losses leave layers whose result nobody reads and no head is: they go as well."""
    heads = {layer.top[0] for layer in net.layer if _is_answer(layer)}
    if not heads:
        return net
    wanted, kept = set(heads), []
    for layer in reversed(net.layer):
        if any(top in wanted for top in layer.top):
            kept.append(layer)
            wanted.update(layer.bottom)
    return _copy(net, reversed(kept))


def _is_answer(layer):
    return layer.name == "prob" or layer.name.endswith("_prob")


def fold_dropout(net):
    """Dropout copies its bottom in TEST: its readers read the bottom."""
    renamed, out = {}, []
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


def strip_training_fields(net):
    """Rules, rates, fillers and stored weights say nothing at inference."""
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
