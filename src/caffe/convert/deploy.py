"""Convert a train_val NetParameter to a deploy NetParameter with a sequence of passes.

They do what Caffe's users do by hand: data layers become an Input, losses become the layer they contain
(SoftmaxWithLoss a Softmax named `prob`), layers that need labels and Dropout are removed. Layers with weights keep
their names, so snapshots of the training net can be loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce

from caffe.convert import data_shapes
from caffe.convert.input_shapes import can_be_built, complete_regions, resize_inputs
from caffe.convert.layer_roles import is_data, is_deploy_file, is_evaluator, is_label, layer_class
from caffe.core import glog
from caffe.errors import CaffeError
from caffe.layers import _python_replacements
from caffe.net import filter_and_split
from caffe.proto import caffe_pb2


def deploy(param: caffe_pb2.NetParameter, input_shape: Sequence[int | None] | None = None) -> caffe_pb2.NetParameter:
    """Convert a training net to the deploy net.

    The outputs are the blobs that no layer reads. In a net with losses these are the layer that a loss contains (a
    Softmax, named `prob`), and the first bottoms of other losses and of evaluating layers. Layers of unknown types stay
    in the net: creating the Net reports them, unless they have been cut off.

    Parameters
    ----------
    param : NetParameter
        Training net in V2 format.
    input_shape : (N, C, H, W), optional
        Shape of the input. Dimensions that are None, and all by default, come from the net: the shape of an Input
        layer, or one image of the crop size or database of the TEST data layer. If the net does not define the image
        size, it is 224 x 224, with a warning.

    Returns
    -------
    NetParameter

    Raises
    ------
    CaffeError
        If the net has no input, or an input without a shape.
    """
    net = drop_label_of_softmax(keep_test_phase(_python_replacements.replace(param)))
    deployed = _deployed(net, input_shape)
    if (input_shape or (None,) * 4)[1] is None and any(map(_has_assumed_channels, net.layer)):
        deployed = _grayscale(net, input_shape, deployed)
    batch = data_shapes.batch_size(net)
    if (
        batch > 1
        and (input_shape or (1,))[0] in (None, 1)
        and _divides_batch(deployed, batch)
        and not can_be_built(deployed)
    ):
        whole = _deployed(net, (batch, *(input_shape or (None,) * 4)[1:]))
        if can_be_built(whole):
            glog.warning(f"net '{net.name}' keeps its batch size of {batch}: its layers do not allow 1")
            return whole
    return deployed


def _deployed(net, input_shape):
    return reduce(lambda net, step: step(net), passes(net, input_shape), net)


def _has_assumed_channels(layer):
    return layer.type == "HDF5Data" and any(data_shapes.hdf5_shape(layer, top) is None for top in layer.top[:1])


def _grayscale(net, input_shape, deployed):
    """Return the deploy net with images of one channel if `deployed`, of the assumed three, cannot be built."""
    if can_be_built(deployed):
        return deployed
    gray = _deployed(net, ((input_shape or (1,))[0], 1, *(input_shape or (None,) * 4)[2:]))
    if not can_be_built(gray):
        return deployed
    glog.warning(f"net '{net.name}': its layers do not allow images of 3 channels; 1 channel is used")
    return gray


def _divides_batch(net, batch):
    """Return whether a layer slices the batch or has its size as a number of rows."""
    return any(
        (x.type == "Slice" and 0 in (x.slice_param.axis, x.slice_param.slice_dim))
        or (x.type == "Reshape" and list(x.reshape_param.shape.dim[:1]) == [batch])
        for x in net.layer
    )


def passes(
    net: caffe_pb2.NetParameter, input_shape: Sequence[int | None] | None = None
) -> list[Callable[[caffe_pb2.NetParameter], caffe_pb2.NetParameter]]:
    """Return the passes for the TEST net `net` in order; each maps a NetParameter to a NetParameter."""
    if is_deploy_file(net):
        net_passes = (remove_evaluators_without_labels, fold_dropout, strip_training_fields, remove_unread_inputs)
        return [lambda net: replace_data_with_input(net, input_shape), *net_passes]
    outputs = output_names(net)
    return [
        lambda net: replace_data_with_input(net, input_shape),
        replace_losses,
        remove_label_consumers,
        lambda net: keep_paths_to(net, outputs),
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


def keep_test_phase(net: caffe_pb2.NetParameter) -> caffe_pb2.NetParameter:
    """Keep the layers of phase TEST, plus the losses of phase TRAIN if TEST has none.

    If TEST has no input, for example because its data layers need a stage, TRAIN's data layers are added; if no layer
    of TEST reads them, the result is the net of phase TRAIN.
    """
    kept, training = (_included(net, phase) for phase in (caffe_pb2.TEST, caffe_pb2.TRAIN))
    losses = [] if any(map(_is_loss, kept)) else list(filter(_is_loss, training))
    if any(layer.type == "Input" or is_data(layer) for layer in kept):
        return _copy(net, kept + losses)
    data = [layer for layer in training if layer.type == "Input" or is_data(layer)]
    tops = {top for layer in data for top in layer.top}
    used = any(tops.intersection(layer.bottom) for layer in kept if not is_evaluator(layer))
    return _copy(net, data + kept + losses if used else training)


def _is_loss(layer):
    return layer_class(layer).is_loss


def _included(net, phase):
    state = filter_and_split.net_state(phase, net.state.level, net.state.stage)
    return [layer for layer in net.layer if filter_and_split.included(layer, state)]


def output_names(net: caffe_pb2.NetParameter) -> set[str]:
    """Return the names of the outputs of a train_val net, see `deploy`."""
    names = {name for _, name in _heads(net)}
    consumed = {bottom for layer in net.layer for bottom in layer.bottom}
    inputs = {top for layer in net.layer if not layer.bottom for top in layer.top}
    for layer in net.layer:
        cls = layer_class(layer)
        if cls.is_loss:
            if not cls.deploys_as:
                names.update(bottom for bottom in layer.bottom if bottom not in inputs)
        elif layer.bottom and layer.type != "Accuracy":
            evaluates = is_evaluator(layer)
            names.update(layer.bottom[:1] if evaluates else [top for top in layer.top if top not in consumed])
    return names


def replace_data_with_input(
    net: caffe_pb2.NetParameter, input_shape: Sequence[int | None] | None = None
) -> caffe_pb2.NetParameter:
    """Replace every data layer by Inputs for the tops that are read at inference; labels are removed."""
    layers: list[caffe_pb2.LayerParameter] = []
    replaced = False
    for layer in (*_missing_input(net), *net.layer):
        if layer.type == "Input" and not _has_shape(layer):
            layer = _input(layer.top[0], _required_shape(layer, input_shape))
        inputs = _inputs_of(layer, net, input_shape) if is_data(layer) else [layer]
        replaced = replaced or (is_data(layer) and bool(inputs))
        layers += inputs
    if not any(layer.type == "Input" for layer in layers):
        raise CaffeError(
            f"net '{net.name}' has no data layer and no Input in TEST or in TRAIN; add an Input with its shape"
        )
    return resize_inputs(
        complete_regions(_copy(net, layers)), input_shape or ((1, None, None, None) if replaced else None)
    )


def remove_unread_inputs(net: caffe_pb2.NetParameter) -> caffe_pb2.NetParameter:
    """Remove the inputs that no layer reads, which are outputs otherwise; a net without layers keeps them."""
    read = {bottom for layer in net.layer for bottom in layer.bottom}
    unread = [top for layer in net.layer if layer.type == "Input" for top in layer.top if top not in read]
    if not read or not unread:
        return net
    net = _copy(net)
    for layer in (x for x in net.layer if x.type == "Input"):
        kept = [number for number, top in enumerate(layer.top) if top not in unread]
        shapes = list(layer.input_param.shape)
        if len(shapes) == len(layer.top):
            del layer.input_param.shape[:]
            layer.input_param.shape.extend(shapes[number] for number in kept)
        layer.top[:] = [layer.top[number] for number in kept]
    glog.info(f"net '{net.name}': no layer reads its input {', '.join(unread)}, which is left out")
    return _copy(net, [layer for layer in net.layer if layer.type != "Input" or layer.top])


def _missing_input(net):
    """Return an Input without a shape for the blob that the first layer reads: an `input` without its shape."""
    if any(is_data(layer) or layer.type == "Input" for layer in net.layer) or not net.layer:
        return []
    return [_input(name, ()) for name in net.layer[0].bottom[:1]]


def _has_shape(layer):
    return any(len(shape.dim) for shape in layer.input_param.shape)


def _required_shape(layer, input_shape):
    """Return (N, C, H, W) from `input_shape` for an Input without a shape; the batch is 1, the channels are 3."""
    if not input_shape or None in input_shape[2:]:
        data_shapes.warn_of_default_size(f"input '{layer.top[0]}' has no shape")
    defaults = (1, 3, data_shapes.DEFAULT_SIDE, data_shapes.DEFAULT_SIDE)
    return tuple(size or default for size, default in zip(input_shape or (None,) * 4, defaults))


def _inputs_of(layer, net, input_shape):
    """Return the Inputs that replace a data layer."""
    tops = [(number, top) for number, top in enumerate(layer.top) if not is_label(net, top, first=number == 0)]
    shapes = [(top, _top_shape(layer, number, input_shape, net)) for number, top in tops]
    if shapes and shapes[0][1] and len(shapes[0][1]) == 4 and (input_shape or (None,) * 2)[1] is None:
        top, (batch, channels, *size) = shapes[0]
        shapes[0] = top, (batch, max(channels, data_shapes.sliced_channels(net, top)), *size)
    return [_input(top, shape) for top, shape in shapes if shape]


def _top_shape(layer, number, input_shape, net):
    """Return the shape of top `number` of a data layer, or None if it is not known."""
    top = layer.top[number]
    if layer.type == "DummyData":
        return data_shapes.dummy_shape(layer, number)
    if layer.type == "HDF5Data":
        item = data_shapes.hdf5_shape(layer, top)
        if item is not None:
            return (1, *item)
    if top in _python_replacements.DATA_SHAPES:
        return _python_replacements.DATA_SHAPES[top]
    return data_shapes.batch_shape(layer, input_shape, net) if number == 0 else None


def _input(top, shape):
    layer = caffe_pb2.LayerParameter(name=top, type="Input", top=[top])
    layer.input_param.shape.add().dim.extend(shape)
    return layer


def _heads(net):
    """Return [(loss, name of the layer that replaces it)] of the losses that contain a layer.

    A loss is auxiliary, and not returned, if another loss on the same labels has a larger weight.
    """
    losses = [layer for layer in net.layer if layer_class(layer).deploys_as]
    heads = [
        layer
        for layer in losses
        if not any(_weight(other) > _weight(layer) and other.bottom[1:] == layer.bottom[1:] for other in losses)
    ]
    existing = {top for layer in net.layer for top in layer.top}
    single = len(heads) == 1 and "prob" not in existing
    return [(layer, "prob" if single else layer.bottom[0] + "_prob") for layer in heads]


def replace_losses(net: caffe_pb2.NetParameter) -> caffe_pb2.NetParameter:
    """Replace a loss by the layer it contains, named `prob`, or `<bottom>_prob` if there are several losses."""
    heads = _heads(net)
    existing = {top for layer in net.layer for top in layer.top}
    out = []
    for layer in net.layer:
        if not layer_class(layer).is_loss:
            out.append(layer)
        for head, name in heads:
            if layer is head and name not in existing:
                existing.add(name)
                out.append(_head(layer, name))
    return _copy(net, out)


def _weight(layer):
    return layer.loss_weight[0] if len(layer.loss_weight) else 1.0


def _head(loss, name):
    head = caffe_pb2.LayerParameter(name=name, type=layer_class(loss).deploys_as, bottom=[loss.bottom[0]], top=[name])
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
    available: set[str] = set()
    out: list[caffe_pb2.LayerParameter] = []
    for layer in net.layer:
        complete = all(bottom in available for bottom in layer.bottom)
        if layer.type != "Input" and (is_evaluator(layer) or not complete):
            if not _selects_proposals(layer, available):
                continue
            layer = caffe_pb2.LayerParameter(name=layer.name, type="Split", bottom=layer.bottom[:1], top=layer.top[:1])
        available.update(layer.top)
        out.append(layer)
    return _copy(net, out)


def remove_evaluators_without_labels(net: caffe_pb2.NetParameter) -> caffe_pb2.NetParameter:
    """Remove evaluating layers of a deploy file that read a missing blob, left over from the training net."""
    existing = {top for layer in net.layer for top in layer.top}
    return _copy(net, [x for x in net.layer if not (is_evaluator(x) and set(x.bottom) - existing)])


def _selects_proposals(layer, available):
    """Return whether the layer selects, by the true boxes, the proposals to train with; at inference all are used."""
    return "ProposalTarget" in layer.type + layer.python_param.layer and layer.bottom[0] in available


def keep_paths_to(net: caffe_pb2.NetParameter, outputs: Iterable[str]) -> caffe_pb2.NetParameter:
    """Keep the layers that the blobs `outputs` depend on; keep all layers if none of the blobs exists."""
    existing = {top for layer in net.layer if layer.type != "Input" for top in layer.top}
    needed, kept = set(outputs) & existing, []
    if not needed:
        return net
    for layer in reversed(net.layer):
        if any(top in needed for top in layer.top) or (not layer.top and set(layer.bottom) <= needed):
            kept.append(layer)
            needed.update(layer.bottom)
    return _copy(net, reversed(kept))


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
            if field.name in ("batch_norm_param", "bn_param"):
                continue  # in forks a filler means that the layer has a scale
            if field.name.endswith("_param") and field.message_type is not None:
                for name in ("weight_filler", "bias_filler", "filler"):
                    if name in value.DESCRIPTOR.fields_by_name:
                        value.ClearField(name)
    net.ClearField("force_backward")
    net.ClearField("state")
    return net
