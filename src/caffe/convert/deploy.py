"""From a train_val NetParameter to the deploy NetParameter that answers pictures: a list of small passes.

What Caffe's users did by hand: the data layers become an Input, the losses what they hide (SoftmaxWithLoss a Softmax named
`prob`), everything that needs a label goes, Dropout goes. Weights keep their layer names, so a snapshot of the training fits.
"""

from __future__ import annotations

from functools import reduce

from caffe.core import glog
from caffe.errors import CaffeError
from caffe.layers import _python_replacements, base, load
from caffe.net import filter_and_split
from caffe.proto import caffe_pb2
from caffe.utils import faults
from ncs.errors import NcsError

UNKNOWN_SIDE = 224  # of pictures whose size the net does not say
UNKNOWN_SIZES = {"DenseImageData": (360, 480)}  # SegNet's, which its unpooling layers count on


def deploy(param, input_shape=None):
    """Return the deploy net of `param` (NetParameter, V2).

    `input_shape` is (N, C, H, W) of the pictures, None for what the net says itself: an Input's own shape, or one picture of
    the size that the TEST data layer crops to, or that its database holds; 224 x 224 with a warning where it says nothing.
    What nobody reads is an output. In a net with losses that is the layer which a loss hides (a Softmax, named `prob`), and
    what other losses and evaluating layers read; of a deploy file, every such blob.
    """
    net = keep_test_phase(_python_replacements.replace(param))
    if is_deploy_file(net):
        steps = [lambda net: resize_inputs(net, input_shape), fold_dropout, strip_training_fields]
    else:
        wanted = answers(net)
        steps = [
            lambda net: replace_data_with_input(net, input_shape),
            replace_losses,
            remove_label_consumers,
            lambda net: keep_paths_to(net, wanted),
            fold_dropout,
            strip_training_fields,
        ]
    return reduce(lambda net, step: step(net), steps, net)


def _copy(net, layers=None):
    out = caffe_pb2.NetParameter()
    out.CopyFrom(net)
    if layers is not None:
        del out.layer[:]
        out.layer.extend(layers)
    return out


def _type(layer):
    """The layer's class; of a type that is not known, one that says no more than its name: it may yet be cut off."""
    load()
    if layer.type in base.registry:
        return base.registry[layer.type]
    if faults.is_loss(layer.type):
        return _SoftmaxLoss if layer.type.startswith("Softmax") else _Loss
    return _Evaluator if layer.type in faults.EVALUATORS else base.Layer


class _Loss(base.Layer):
    is_loss = True


class _SoftmaxLoss(_Loss):
    deploys_as = "Softmax"


class _Evaluator(base.Layer):
    no_onnx = "it measures a net on labelled data"


def _is_data(layer):
    """Whether the layer reads records: a data layer, or one of a fork that stands at the start and is no Input."""
    if layer.type == "Input" or layer.bottom or not layer.top:
        return False
    return _type(layer).is_data or layer.type not in base.registry or layer.type == "Python"


def is_deploy_file(net):
    """Whether the net has Inputs, and neither data layers nor losses: its unread blobs are its outputs."""
    inputs = any(layer.type == "Input" for layer in net.layer)
    return inputs and not any(_is_data(layer) or _type(layer).is_loss for layer in net.layer)


def keep_test_phase(net):
    """The layers that the TEST phase includes, and the training's losses where TEST has none; the training's net where TEST
    has no input.
    """
    kept, training = (
        [
            layer
            for layer in net.layer
            if filter_and_split.included(layer, filter_and_split.net_state(phase, net.state.level, net.state.stage))
        ]
        for phase in (caffe_pb2.TEST, caffe_pb2.TRAIN)
    )
    if not any(layer.type == "Input" or _is_data(layer) for layer in kept):
        return _copy(net, training)
    losses = [layer for layer in training if _type(layer).is_loss]
    return _copy(net, kept if any(_type(layer).is_loss for layer in kept) or not losses else kept + losses)


def answers(net):
    """Names of the blobs that a train_val net computes for: see deploy."""
    wanted = {name for _, name in _heads(net)}
    read = {bottom for layer in net.layer for bottom in layer.bottom}
    given = {top for layer in net.layer if not layer.bottom for top in layer.top}
    for layer in net.layer:
        kind = _type(layer)
        if kind.is_loss and not kind.deploys_as:
            wanted.update(bottom for bottom in layer.bottom if bottom not in given)
        elif not kind.is_loss and kind.no_onnx and layer.bottom and layer.type not in ("Accuracy", "Python"):
            wanted.add(layer.bottom[0])
        elif not kind.is_loss and layer.bottom and layer.type != "Accuracy":
            wanted.update(top for top in layer.top if top not in read)
    return wanted


def replace_data_with_input(net, input_shape=None):
    """Every data layer becomes an Input of the tops that are read at inference; the label tops are gone."""
    layers, found = [], False
    for layer in net.layer:
        if _is_data(layer):
            made = _inputs_of(layer, net, input_shape)
            layers += made
            found = found or bool(made)
            continue
        found = found or layer.type == "Input"
        layers.append(layer)
    if not found:
        raise NcsError(f"net '{net.name}' has no data layer and no Input")
    return resize_inputs(_copy(net, layers), input_shape)


def _inputs_of(layer, net, wanted):
    """The Inputs that a data layer becomes."""
    made = []
    for number, top in enumerate(layer.top):
        if _is_label(net, top, first=number == 0):
            continue
        if layer.type == "DummyData":
            shape = _dummy_shape(layer, number)
            made.append(_input(top, (wanted[0] or 1, *shape[1:]) if wanted and len(shape) == 4 else shape))
        elif top in _python_replacements.DATA_SHAPES:
            made.append(_input(top, _python_replacements.DATA_SHAPES[top]))
        elif number == 0:
            made.append(_input(top, _shape(layer, wanted)))
    return made


def _is_label(net, top, first):
    """Whether a top of a data layer is for losses and accuracies alone, behind their first bottom."""
    readers = [layer for layer in net.layer if top in layer.bottom]
    if not readers:
        return not first
    return all(_needs_labels(layer) and top not in layer.bottom[:1] for layer in readers)


def _needs_labels(layer):
    """Whether the layer measures or trains a net: it reads labels behind its first bottom."""
    kind = _type(layer)
    evaluates = kind.no_onnx and layer.type != "Python"
    return kind.is_loss or evaluates or "Target" in layer.type + layer.python_param.layer


def _dummy_shape(layer, number):
    p = layer.dummy_data_param
    if p.shape:
        return tuple(p.shape[min(number, len(p.shape) - 1)].dim)
    return tuple(
        values[min(number, len(values) - 1)] for values in (p.num, p.channels, p.height, p.width) if len(values)
    )


def _shape(layer, wanted):
    """(N, C, H, W) of a data layer's pictures: `wanted`, and what it leaves open as the layer has it."""
    wanted = wanted or (None,) * 4
    if None not in wanted[1:]:
        return (wanted[0] or 1, *wanted[1:])
    try:
        own = (1, *picture_shape(layer))
    except CaffeError as error:
        own = (1, 3, *UNKNOWN_SIZES.get(layer.type, (UNKNOWN_SIDE,) * 2))  # pictures have colours
        if None in wanted[2:]:
            _warn_of_size(f"layer '{layer.name}' ({layer.type}): {error}", own[2:])
    return tuple(one or other for one, other in zip(wanted, own))


def _warn_of_size(why, size=(0, 0)):
    height, width = size if all(size) else (UNKNOWN_SIDE,) * 2
    glog.warning(
        f"{why}; {height} x {width} (height x width) is assumed: give the input shape (-is W H) if that is wrong"
    )


def resize_inputs(net, wanted=None):
    """Give the pictures' Input the shape `wanted`, where it is given, and one that is a placeholder a size.

    The pictures are the first Input of four axes. Other Inputs with its batch, and the leading extents of Reshape layers
    that are multiples of it, follow when the batch changes.
    """
    pictures = next(
        (
            shape
            for layer in net.layer
            if layer.type == "Input"
            for shape in layer.input_param.shape
            if len(shape.dim) == 4
        ),
        None,
    )
    if pictures is None:
        return _with_batch(net, wanted[0], _first_batch(net)) if wanted and wanted[0] else net
    old = list(pictures.dim)
    new = [one or other for one, other in zip(wanted or old, old)]
    if _is_placeholder(net, new):
        _warn_of_size(f"net '{net.name}': its input is {' x '.join(map(str, new))}, a placeholder")
        new[2:] = UNKNOWN_SIDE, UNKNOWN_SIDE
    if new == old:
        return net
    net = _with_batch(net, new[0], old[0]) if new[0] != old[0] else _copy(net)
    for layer in net.layer:
        for shape in layer.input_param.shape if layer.type == "Input" else ():
            if list(shape.dim[1:]) == old[1:]:
                shape.dim[1:] = new[1:]
    return net


def _is_placeholder(net, shape):
    """Whether an input is one pixel of a picture, that windows or further pixels are to be put around."""
    inputs = {top for layer in net.layer if layer.type == "Input" for top in layer.top}
    readers = [layer for layer in net.layer if set(layer.bottom) & inputs]
    windows = [layer for layer in readers if layer.type in ("Convolution", "Pooling")]
    return shape[1] in (1, 3) and tuple(shape[2:]) == (1, 1) and bool(windows)


def _first_batch(net):
    shapes = [shape for layer in net.layer if layer.type == "Input" for shape in layer.input_param.shape if shape.dim]
    return shapes[0].dim[0] if shapes else 1


def _with_batch(net, new, old):
    if new == old or not old:
        return net
    reshaped = _rows_of_reshapes(net)
    net = _copy(net)
    for layer in net.layer:
        for shape in layer.input_param.shape if layer.type == "Input" else ():
            if shape.dim and shape.dim[0] == old:
                shape.dim[0] = new
        dims = layer.reshape_param.shape.dim
        fixed = layer.type == "Reshape" and layer.reshape_param.axis == 0 and len(dims) and dims[0] > 0
        if fixed and dims[0] % old == 0 and reshaped.get(layer.name, old) % old == 0:
            dims[0] = dims[0] // old * new
    return net


def _rows_of_reshapes(net):
    """Layer name -> first extent of a Reshape's bottom, as the net stands; {} where it cannot be made."""
    from caffe.net.net import Net

    try:
        build_only = Net.from_param(net, caffe_pb2.TEST, build_only=True)
    except CaffeError:
        return {}
    shapes = {name: blob.shape for name, blob in build_only.blobs.items()}
    return {
        layer.name: shapes[layer.bottom[0]][0]
        for layer in build_only.param.layer
        if layer.type == "Reshape" and shapes[layer.bottom[0]]
    }


def _input(top, shape):
    layer = caffe_pb2.LayerParameter(name=top, type="Input", top=[top])
    layer.input_param.shape.add().dim.extend(shape)
    return layer


def picture_shape(layer):
    """(channels, height, width) of what a data layer gives: its crop, or the size of what its database holds."""
    transform, memory = layer.transform_param, layer.memory_data_param
    if layer.type == "MemoryData":
        return memory.channels, memory.height, memory.width
    gray = transform.force_gray or (layer.type == "Data" and len(transform.mean_value) == 1)
    if layer.type == "ImageData":
        gray = not layer.image_data_param.is_color
    size = _size(layer)
    return (_channels(layer, gray), *size) if size else _database_shape(layer)


def _channels(layer, gray):
    """Channels of a data layer's pictures; TSN's VideoData stacks frames, or their flow in two directions."""
    video = layer.video_data_param
    if layer.type == "VideoData" and video.HasField("new_length"):
        each = 2 if video.modality == video.FLOW else 1 if video.grayscale else 3
        return each * video.new_length * video.num_segments
    return 1 if gray else 3


def _size(layer):
    """(height, width) that a data layer's settings name, of Caffe and of forks; None where they name none."""
    transform = layer.transform_param
    sizes = [(transform.crop_size,) * 2, (layer.window_data_param.crop_size,) * 2]
    sizes += [(transform.crop_h, transform.crop_w), (transform.crop_height, transform.crop_width)]
    sizes += [(resize.height, resize.width) for resize in transform.resize_param]
    for name in ("image_data_param", "dense_image_data_param", "multi_label_image_data_param", "video_data_param"):
        param = getattr(layer, name, None)
        if param is not None and hasattr(param, "new_height"):
            sizes.append((param.new_height, param.new_width))
    return next((size for size in sizes if all(size)), None)


def _database_shape(layer):
    from caffe.data import datum
    from caffe.data.db import open_db

    if layer.type not in ("Data", "AnnotatedData"):
        raise NcsError("the size of its pictures is not in the net")
    with open_db(layer.data_param.source, layer.data_param.backend) as database:
        _, value = next(database.at(0))
        array, _ = datum.decode(value)
    return array.shape


def _heads(net):
    """[(loss, name of what takes its place)] of the losses that hide a layer, auxiliary ones left out: those with less
    weight than another with the same labels.
    """
    losses = [layer for layer in net.layer if _type(layer).deploys_as]
    heads = [
        layer
        for layer in losses
        if not any(_weight(other) > _weight(layer) and other.bottom[1:] == layer.bottom[1:] for other in losses)
    ]
    existing = {top for layer in net.layer for top in layer.top}
    single = len(heads) == 1 and "prob" not in existing
    return [(layer, "prob" if single else layer.bottom[0] + "_prob") for layer in heads]


def replace_losses(net):
    """A loss becomes the layer that it hides, named `prob`; of several each `<bottom>_prob`."""
    heads = _heads(net)
    existing = {top for layer in net.layer for top in layer.top}
    out = []
    for layer in net.layer:
        if not _type(layer).is_loss:
            out.append(layer)
        for head, name in heads:
            if layer is head and name not in existing:
                existing.add(name)
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
        evaluates = _type(layer).no_onnx and layer.type != "Python"
        if layer.type != "Input" and (evaluates or not all(bottom in made for bottom in layer.bottom)):
            if _targets_of_training(layer, made):
                out.append(_copied(layer))
                made.add(layer.top[0])
            continue
        made.update(layer.top)
        out.append(layer)
    return _copy(net, out)


def _targets_of_training(layer, made):
    """Whether the layer picks, by the true boxes, which of the proposals in its first bottom are trained with: at inference
    all are used.
    """
    return "ProposalTarget" in (layer.type + layer.python_param.layer) and layer.bottom[0] in made


def _copied(layer):
    copied = caffe_pb2.LayerParameter(name=layer.name, type="Split", bottom=layer.bottom[:1], top=layer.top[:1])
    return copied


def keep_paths_to(net, wanted):
    """The layers that the blobs `wanted` are computed with; all of them where none of the blobs is made."""
    made = {top for layer in net.layer if layer.type != "Input" for top in layer.top}
    wanted, kept = wanted & made, []
    if not wanted:
        return net
    for layer in reversed(net.layer):
        if any(top in wanted for top in layer.top) or (not layer.top and set(layer.bottom) <= wanted):
            kept.append(layer)
            wanted.update(layer.bottom)
    return _copy(net, reversed(kept))


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
            if field.name in ("batch_norm_param", "bn_param"):
                continue  # in forks a filler says that there is a scale
            if field.name.endswith("_param") and field.message_type is not None:
                for name in ("weight_filler", "bias_filler", "filler"):
                    if name in value.DESCRIPTOR.fields_by_name:
                        value.ClearField(name)
    net.ClearField("force_backward")
    net.ClearField("state")
    return net
