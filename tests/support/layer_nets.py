"""Nets from prototxt text, for tests of layers."""

import dataclasses

import numpy as np

import caffe
from caffe.net.net import Net
from caffe.proto.read import read_net_text


def net_of(text, phase=caffe.TRAIN, **more):
    """Build a Net from prototxt `text`."""
    file = read_net_text(text, "net.prototxt")
    return Net.from_param(file.param, phase, where=file.where, **more)


@dataclasses.dataclass
class Run:
    """The results of running one layer."""

    net: Net
    tops: list  # arrays
    diffs: list  # the bottoms' diffs

    @property
    def blobs(self):
        """The layer's weight blobs."""
        return self.net.layer_dict["layer"].blobs


def run_layer(type_, text, *bottoms, tops=1, phase=caffe.TEST, diffs=(), weights=(), backward=True):
    """Run one layer forward and, from `diffs` (one array per top; default: the loss weights), backward."""
    bottoms = [np.asarray(b, np.float32) for b in bottoms]
    net = net_of(_text(type_, text, [b.shape for b in bottoms], tops), phase)
    for i, array in enumerate(bottoms):
        net.blobs[f"b{i}"].data[...] = array
    for blob, array in zip(net.layer_dict["layer"].blobs, weights):
        blob.data[...] = array
    net.forward()
    names = [f"t{i}" for i in range(tops)]
    if backward:
        for name, diff in zip(names, diffs):
            net.blobs[name].diff[...] = diff
        net.backward()
    tops = [net.blobs[name].data.copy() for name in names]
    return Run(net, tops, [net.blobs[f"b{i}"].diff.copy() for i in range(len(bottoms))])


def _text(type_, text, shapes, tops):
    inputs = ""
    for i, shape in enumerate(shapes):
        dims = " ".join(f"dim: {d}" for d in shape)
        inputs += f'layer {{ name: "b{i}" type: "Input" top: "b{i}" input_param {{ shape {{ {dims} }} }} }}\n'
    names = [f'bottom: "b{i}" ' for i in range(len(shapes))] + [f'top: "t{i}" ' for i in range(tops)]
    layer = 'layer {{ name: "layer" type: "{}" {} {} }}'.format(type_, "".join(names), text)
    return "force_backward: true\n" + inputs + layer
