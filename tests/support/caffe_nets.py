"""Small Caffe nets with random weights as files, for the tests of the commands."""

import numpy as np

from caffe.net.net import Net
from caffe.proto import caffe_pb2

TINY = """
name: "tiny"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "conv2" type: "Convolution" bottom: "conv1" top: "conv2"
  convolution_param { num_output: 6 kernel_size: 3 } }
layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "fc" type: "InnerProduct" bottom: "conv2" top: "fc" inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""
TWO_HEADS = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 6 dim: 6 } } }
layer { name: "age" type: "InnerProduct" bottom: "data" top: "age"
  inner_product_param { num_output: 9 weight_filler { type: "gaussian" std: 0.02 } } }
layer { name: "gender" type: "InnerProduct" bottom: "data" top: "gender"
  inner_product_param { num_output: 2 weight_filler { type: "gaussian" std: 0.02 } } }
"""
TWO_INPUTS = """
layer { name: "face" type: "Input" top: "face" input_param { shape { dim: 1 dim: 3 dim: 6 dim: 6 } } }
layer { name: "scene" type: "Input" top: "scene" input_param { shape { dim: 1 dim: 3 dim: 4 dim: 8 } } }
layer { name: "a" type: "InnerProduct" bottom: "face" top: "a"
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.02 } } }
layer { name: "b" type: "InnerProduct" bottom: "scene" top: "b"
  inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.02 } } }
layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" }
"""


def tiny(folder, text=TINY, seed=1, scale=0.1, **factors):
    """Write net.prototxt and net.caffemodel and return both paths; `factors` scale the weights of layers by name."""
    prototxt, weights = str(folder / "net.prototxt"), str(folder / "net.caffemodel")
    with open(prototxt, "w") as stream:
        stream.write(text)
    net = seeded(prototxt, seed, scale)
    for name, factor in factors.items():
        for blob in net.params[name]:
            blob.data[...] *= factor
    net.save(weights)
    return prototxt, weights


def seeded(prototxt, seed=1, scale=0.1):
    """A Net in phase TEST with normal weights of standard deviation `scale`; He's if it is None."""
    net = Net(prototxt, caffe_pb2.TEST)
    random = np.random.RandomState(seed)
    for blobs in net.params.values():
        for blob in blobs:
            std = scale or np.sqrt(2 / max(1, np.prod(blob.shape[1:])))
            blob.data[...] = random.standard_normal(blob.shape).astype(np.float32) * std
    return net
