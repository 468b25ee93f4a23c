"""Assemble the deploy net, the training net and the prototxt files of a zoo net from its body."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from caffe.proto import caffe_pb2, text

if TYPE_CHECKING:
    from agegender.zoo import model as zoo
    from caffe.net.net import Net
    from caffe.net_spec import NetSpec

Weights = dict[str, list[np.ndarray]]  # {layer: [array]}
RATES = [{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 2, "decay_mult": 0}]


def constant(value: float = 0) -> dict:
    """A constant filler."""
    return {"type": "constant", "value": value}


def gaussian(std: float) -> dict:
    """A Gaussian filler of mean 0."""
    return {"type": "gaussian", "std": std}


def input_net(spec: NetSpec, shape: tuple[int, ...]) -> caffe_pb2.NetParameter:
    """NetParameter of a NetSpec whose `data` is an Input of `shape`, declared first."""
    param = spec.to_proto()
    data = next(layer for layer in param.layer if layer.name == "data")
    data.input_param.shape[0].dim[:] = shape
    return param


def deploy_param(net: zoo.Net, *others: zoo.Net) -> caffe_pb2.NetParameter:
    """NetParameter for inference on one image: the body up to the logits and a Softmax, without training layers.

    With `others`, nets of the same weights, it has one Softmax per net.
    """
    nets = [net, *others]
    param = answers_param(nets, output_names(nets, bool(others)))
    param.name = net.weights if others else net.name
    return _renamed(param, "data", net.blobs[0])


def output_names(nets: Sequence[zoo.Net], together: bool) -> list[str]:
    """Names of the deploy outputs: a net's own, or with the task appended if nets are one net `together`."""
    return [f"{net.blobs[1]}_{net.task}" if together else net.blobs[1] for net in nets]


def answers_param(nets: Sequence[zoo.Net], tops: Sequence[str]) -> caffe_pb2.NetParameter:
    """Deploy NetParameter of nets that share a body, with one Softmax per net, named by `tops`."""
    param = unfolded_param(nets, tops)
    if nets[0].folded:
        from caffe.convert.fold_batch_norm import fold_norm

        param, _ = fold_norm(param, zeros(param))
    return param


def unfolded_param(nets: Sequence[zoo.Net], tops: Sequence[str]) -> caffe_pb2.NetParameter:
    """`answers_param` before batch normalization is folded, with the layers of a training snapshot."""
    from caffe.convert.deploy import fold_dropout, strip_training_fields

    param = nets[0].body()
    for net, top in zip(nets, tops):
        param.layer.add(type="Softmax", name=top, bottom=[net.logits], top=[top])
    return strip_training_fields(fold_dropout(needed_for(param, tops)))


def zeros(param: caffe_pb2.NetParameter) -> Weights:
    """Weights of a deploy NetParameter, all zero because it has no fillers."""
    from caffe.net.net import Net

    return {name: [blob.data for blob in blobs] for name, blobs in Net.from_param(param, caffe_pb2.TEST).params.items()}


def needed_for(param, tops):
    """NetParameter with only the layers on which the blobs `tops` depend, in order."""
    needed, kept = set(tops), []
    for layer in reversed(param.layer):
        if needed & set(layer.top):
            kept.append(layer)
            needed.update(layer.bottom)
    out = caffe_pb2.NetParameter(name=param.name)
    out.layer.extend(reversed(kept))
    return out


def _renamed(param, old, new):
    for layer in param.layer:
        for names in (layer.bottom, layer.top):
            names[:] = [new if name == old else name for name in names]
        if layer.name == old:
            layer.name = new
    return param


def train_param(net: zoo.Net, data_layers: Sequence[caffe_pb2.LayerParameter]) -> caffe_pb2.NetParameter:
    """Training NetParameter: `data_layers`, which produce `data` and the labels, the body, and its losses."""
    body = net.body()
    out = caffe_pb2.NetParameter(name=net.weights)
    out.layer.extend(data_layers)
    out.layer.extend(layer for layer in body.layer if layer.name != "data")
    for logits, label, weight in net.losses:
        loss = "loss_" + logits
        out.layer.add(type="SoftmaxWithLoss", name=loss, bottom=[logits, label], top=[loss], loss_weight=[weight])
    return out


def label_names(net: zoo.Net) -> list[str]:
    """Names of the label blobs of the training net, in order of first use."""
    return list(dict.fromkeys(label for _, label, _ in net.losses))


def deploy_net(net: zoo.Net, weights: Weights | None = None) -> Net:
    """The runnable deploy net, with the given weights or zeros."""
    from caffe.net.net import Net

    caffe_net = Net.from_param(deploy_param(net), caffe_pb2.TEST)
    if weights is not None:
        fill(caffe_net, net, weights)
    return caffe_net


def fill(caffe_net: Net, net: zoo.Net, weights: Weights) -> None:
    """Copy weights into a Net; raises AgeGenderError with all mismatches."""
    match(caffe_net, net, weights)
    for name, blobs in caffe_net.params.items():
        for blob, array in zip(blobs, weights[name]):
            blob.data[...] = array.reshape(tuple(blob.shape))


def check(net: zoo.Net, weights: Weights) -> None:
    """Raise AgeGenderError unless the weights fit the deploy net."""
    match(deploy_net(net), net, weights)


def match(caffe_net: Net, net: zoo.Net, weights: Weights) -> None:
    """Raise AgeGenderError unless the weights have every blob of `caffe_net`, which was built from `net`."""
    from agegender.errors import AgeGenderError
    from caffe.weights.snapshot import shape_equals

    errors = []
    for name, blobs in caffe_net.params.items():
        expected = [tuple(blob.shape) for blob in blobs]
        received = [array.shape for array in weights.get(name, ())]
        if len(expected) != len(received) or not all(map(shape_equals, received, expected)):
            errors.append(f"layer '{name}': expected blobs of {expected}, received {received or 'none'}")
    if errors:
        raise AgeGenderError("these weights do not fit '{}':\n  {}".format(net.name, "\n  ".join(errors)))


def count_parameters(caffe_net: Net) -> int:
    """Number of values in a Net's weights, without the moving-average factor of Caffe's BatchNorm."""
    norms = {layer.name for layer in caffe_net.param.layer if layer.type == "BatchNorm"}
    total = 0
    for name, blobs in caffe_net.params.items():
        total += sum(blob.count for blob in (list(blobs)[:2] if name in norms else blobs))
    return total


def deploy_text(net: zoo.Net, *others: zoo.Net) -> str:
    """The deploy prototxt, with a comment on its input and outputs; see `deploy_param`."""
    channels, height, width = net.shape
    titles = "; ".join(member.title for member in (net, *others))
    counts = " and ".join(str(len(member.labels)) for member in (net, *others))
    about = f"{titles}. {channels} x {height} x {width}, {net.transform().order}, in; {counts} probabilities out."
    lines = ["# " + line for line in textwrap.wrap(about, 118)]
    return "\n".join([*lines, text.format(deploy_param(net, *others))])
