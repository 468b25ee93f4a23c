"""Describes the inputs and outputs of a Caffe net for its manifest."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ncs.errors import NcsError
from ncs.runtime.manifest import Head, Input

if TYPE_CHECKING:
    from caffe.device.transform import Transform
    from caffe.net.net import Net
    from ncs.compiler.compile import Model


def why_no_manifest(net: Net) -> str:
    """Return why a manifest cannot describe this net's inputs or outputs, or ""."""
    for name in net.inputs:
        shape = net.blobs[name].shape
        if len(shape) != 4 or shape[1] not in (1, 3):
            return f"has an input '{name}' of {_sizes(shape)}, not an image"
    if object_decoder(net):
        return ""
    for name in net.outputs:
        shape = net.blobs[name].shape
        if len(shape) < 2 or any(size != 1 for size in shape[2:]):
            return f"has an output '{name}' of {_sizes(shape)}, not one row of values per image"
    return ""


def object_decoder(net: Net) -> str:
    """Return how the only output is decoded: "detections" of DetectionOutput, "mask" of scores per pixel, or ""."""
    if len(net.outputs) != 1 or len(net.inputs) != 1:
        return ""
    kinds = [node.layer.type for node in net.nodes if net.outputs[0] in node.tops]
    if kinds and kinds[-1].endswith("DetectionOutput"):
        return "detections"
    shape, image = net.blobs[net.outputs[0]].shape, net.blobs[net.inputs[0]].shape
    scores = len(shape) == len(image) == 4 and shape[1] > 1 and shape[2:] == image[2:] and min(image[2:]) > 1
    return "mask" if scores else ""


def _sizes(shape):
    return "x".join(map(str, shape))


def inputs(net: Net, transform: Transform) -> list[Input]:
    """Return an Input per input of the net; further ones receive the same image at their own size."""
    first, *others = net.inputs
    ports = [Input(first, tuple(net.blobs[first].shape), transform)]
    for name in others:
        shape = tuple(net.blobs[name].shape)
        own = transform.replace(size=shape[2:], crop=None, mean_fit="resize", gray=shape[1] == 1)
        ports.append(Input(name, shape, transform if shape == ports[0].shape else own))
    return ports


def heads(model: Model, net: Net) -> list[Head]:
    """Return a Head per output of the net, in the model's order; class names are numbers if there are none."""
    decoder = object_decoder(net)
    if decoder:
        labels = list(model.labels) or [str(number) for number in range(_classes(net))]
        return [Head(model.name, net.outputs[0], labels, model.label_set, decoder)]
    named = {head.output: head for head in model.heads}
    unknown = [name for name in named if name not in net.outputs]
    if unknown:
        raise NcsError(f"{model.prototxt}: no output {', '.join(unknown)}; it has {', '.join(net.outputs)}")
    if len(net.outputs) == 1 and not named:
        named = {net.outputs[0]: Head(model.name, net.outputs[0], model.labels, model.label_set, model.decoder)}
    elif model.labels and not named:
        raise NcsError(
            f"{model.prototxt}: labels for one output, but the net has {len(net.outputs)} ({', '.join(net.outputs)}); "
            "give them as OUTPUT=FILE"
        )
    order = [*named, *(name for name in net.outputs if name not in named)]
    return [_head(model, named.get(name) or Head(name, name, []), net.blobs[name]) for name in order]


def _head(model, head, blob):
    count = blob.count // blob.shape[0]
    if head.labels and len(head.labels) != count:
        raise NcsError(f"{model.prototxt}: expected {count} labels, one per output, received {len(head.labels)}")
    return dataclasses.replace(head, labels=list(head.labels) or [str(number) for number in range(count)])


def _classes(net):
    """Return the number of classes of detections or of a mask."""
    [node] = [node for node in net.nodes if net.outputs[0] in node.tops][-1:]
    for param in ("detection_output_param", "yolo_detection_output_param", "yolov3_detection_output_param"):
        if node.layer.param.HasField(param):
            p = getattr(node.layer.param, param)
            return p.num_classes + (param != "detection_output_param")  # YOLO's labels start at 1
    return net.blobs[net.outputs[0]].shape[1]
