"""Small nets that the optimization passes apply to, and comparisons with and without passes."""

import numpy as np

from caffe.core import config
from caffe.layers.base import TRAIN
from caffe.net.net import Net
from caffe.proto import caffe_pb2, text

FACES = """
    layer { name: "data" type: "Input" top: "data" top: "label"
      input_param { shape { dim: 3 dim: 3 dim: 33 dim: 31 } shape { dim: 3 } } }
    layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
      convolution_param { num_output: 8 kernel_size: 5 stride: 2 weight_filler { type: "xavier" } } }
    layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
    layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
      pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
    layer { name: "norm1" type: "LRN" bottom: "pool1" top: "norm1" lrn_param { alpha: 0.1 } }
    layer { name: "conv2" type: "Convolution" bottom: "norm1" top: "conv2"
      convolution_param { num_output: 6 kernel_size: 3 pad: 1 group: 2 weight_filler { type: "xavier" } } }
    layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
    layer { name: "pool2" type: "Pooling" bottom: "conv2" top: "pool2"
      pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
    layer { name: "fc" type: "InnerProduct" bottom: "pool2" top: "fc"
      inner_product_param { num_output: 7 weight_filler { type: "xavier" } } }
    layer { name: "relu3" type: "ReLU" bottom: "fc" top: "fc" }
    layer { name: "fc2" type: "InnerProduct" bottom: "fc" top: "fc2"
      inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc2" bottom: "label" top: "loss" }
"""
INCEPTION = """
    layer { name: "data" type: "Input" top: "data" top: "label"
      input_param { shape { dim: 2 dim: 4 dim: 9 dim: 9 } shape { dim: 2 } } }
    layer { name: "in" type: "Convolution" bottom: "data" top: "in"
      convolution_param { num_output: 6 kernel_size: 3 weight_filler { type: "xavier" } } }
    layer { name: "relu_in" type: "ReLU" bottom: "in" top: "in" }
    layer { name: "a" type: "Convolution" bottom: "in" top: "a"
      convolution_param { num_output: 3 kernel_size: 1 weight_filler { type: "xavier" } } }
    layer { name: "relu_a" type: "ReLU" bottom: "a" top: "a" }
    layer { name: "b" type: "Pooling" bottom: "in" top: "b"
      pooling_param { pool: MAX kernel_size: 3 stride: 1 pad: 1 } }
    layer { name: "c" type: "Convolution" bottom: "b" top: "c"
      convolution_param { num_output: 2 kernel_size: 1 weight_filler { type: "xavier" } } }
    layer { name: "relu_c" type: "ReLU" bottom: "c" top: "c" }
    layer { name: "out" type: "Concat" bottom: "a" bottom: "c" top: "out" }
    layer { name: "mean" type: "Pooling" bottom: "out" top: "mean"
      pooling_param { pool: AVE kernel_size: 7 } }
    layer { name: "fc" type: "InnerProduct" bottom: "mean" top: "fc"
      inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""
RESIDUAL = """
    layer { name: "data" type: "Input" top: "data" top: "label"
      input_param { shape { dim: 3 dim: 4 dim: 9 dim: 8 } shape { dim: 3 } } }
    layer { name: "bn0" type: "BatchNorm" bottom: "data" top: "bn0" }
    layer { name: "scale0" type: "Scale" bottom: "bn0" top: "bn0" }
    layer { name: "in" type: "Convolution" bottom: "bn0" top: "in"
      convolution_param { num_output: 6 kernel_size: 3 pad: 1 bias_term: false weight_filler { type: "msra" } } }
    layer { name: "bn1" type: "BatchNorm" bottom: "in" top: "bn1" }
    layer { name: "scale1" type: "Scale" bottom: "bn1" top: "bn1"
      scale_param { bias_term: true filler { type: "gaussian" mean: 1 std: 0.5 } bias_filler { value: 0.2 } } }
    layer { name: "relu1" type: "ReLU" bottom: "bn1" top: "bn1" }
    layer { name: "a" type: "Convolution" bottom: "bn1" top: "a"
      convolution_param { num_output: 6 kernel_size: 3 pad: 1 bias_term: false weight_filler { type: "msra" } } }
    layer { name: "bn_a" type: "BatchNorm" bottom: "a" top: "a" }
    layer { name: "scale_a" type: "Scale" bottom: "a" top: "a"
      scale_param { bias_term: true filler { type: "gaussian" mean: 1 std: 0.5 } } }
    layer { name: "relu_a" type: "ReLU" bottom: "a" top: "a" }
    layer { name: "b" type: "Convolution" bottom: "a" top: "b"
      convolution_param { num_output: 6 kernel_size: 3 pad: 1 bias_term: false weight_filler { type: "msra" } } }
    layer { name: "bn_b" type: "BatchNorm" bottom: "b" top: "b" batch_norm_param { use_global_stats: true } }
    layer { name: "scale_b" type: "Scale" bottom: "b" top: "b" scale_param { bias_term: true } }
    layer { name: "sum" type: "Eltwise" bottom: "bn1" bottom: "b" top: "sum" }
    layer { name: "relu_sum" type: "ReLU" bottom: "sum" top: "sum" }
    layer { name: "mean" type: "Pooling" bottom: "sum" top: "mean" pooling_param { pool: AVE global_pooling: true } }
    layer { name: "fc" type: "InnerProduct" bottom: "mean" top: "fc"
      inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""


def build_net(definition, selected_passes=(), phase=TRAIN):
    """Build a Net with seeded weights and input, and apply only `selected_passes`."""
    param = caffe_pb2.NetParameter()
    text.parse(definition, param)
    before = config.fast()
    try:
        config.set_optimize(False)
        config.set_random_seed(5)
        net = Net.from_param(param, phase)
    finally:
        config.set_optimize(before)
    for run_pass in selected_passes:
        run_pass(net.nodes)
    rng = np.random.default_rng(3)
    net.blobs["data"].data[...] = rng.normal(size=net.blobs["data"].shape)
    net.blobs["label"].data[...] = rng.integers(0, 3, net.blobs["label"].shape)
    return net


def all_arrays(net):
    """Copy every data and diff array of the net's blobs and weights."""
    arrays = {f"data of {name}": blob.data.copy() for name, blob in net.blobs.items()}
    arrays.update({f"diff of {name}": blob.diff.copy() for name, blob in net.blobs.items()})
    for name, blobs in net.params.items():
        arrays.update({f"weights {name} {i}": blob.data.copy() for i, blob in enumerate(blobs)})
        arrays.update({f"diff of weights {name} {i}": blob.diff.copy() for i, blob in enumerate(blobs)})
    return arrays


def run(net):
    net.clear_param_diffs()
    net.forward()
    net.backward()
    return all_arrays(net)


def compare(actual, expected, exact):
    assert actual.keys() == expected.keys()
    for name, values in expected.items():
        if exact:
            assert np.array_equal(actual[name], values), name
        else:
            scale = max(1e-6, np.abs(values).max())
            assert np.abs(actual[name] - values).max() <= 1e-5 * scale, name


def runners(net):
    """Return {layer name: class name of its runner}, without the runners that choose at every forward."""
    names = {node.layer.name: type(node.fast).__name__ for node in net.nodes if node.fast is not None}
    return {layer: name for layer, name in names.items() if name != "FourierConvolution"}
