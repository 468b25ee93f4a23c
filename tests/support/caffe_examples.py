"""The examples of every layer type as nets with random weights."""

import numpy as np
from support.reference import one_layer_net

from caffe import layers
from caffe.layers import base

NEED_FILES = ("HDF5Output", "Python")  # a file, a class


def exportable():
    """Yield (name, Net) of every example that can be exported to ONNX."""
    layers.load()
    rng = np.random.default_rng(3)
    for name, layer in sorted(base.registry.items()):
        if layer.no_onnx or name in NEED_FILES:
            continue
        for number, example in enumerate(layer.examples):
            if not example.bottoms or not example.tops or example.phase != base.TEST:
                continue
            net = one_layer_net(name, example.text, example.bottoms, example.tops, example.phase)
            for blobs in net.params.values():
                for blob in blobs:
                    blob.data[...] = rng.uniform(0.5, 2, blob.shape)
            yield f"{name}-{number}", net
