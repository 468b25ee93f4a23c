"""Nets out of prototxt text, for tests of layers."""

import caffe
from caffe.net import Net
from caffe.proto.read import read_net_text


def net_of(text, phase=caffe.TRAIN, **more):
    """A Net of prototxt `text`."""
    file = read_net_text(text, "net.prototxt")
    return Net.from_param(file.param, phase, where=file.where, **more)
