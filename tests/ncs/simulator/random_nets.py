"""Small random Caffe nets: convolutions, poolings and activations with every parameter that a blob encodes."""

import random

import numpy as np
from support.layer_nets import net_of

import caffe

FILL = 'weight_filler { type: "msra" } bias_filler { type: "gaussian" std: 0.3 }'
ACTIVATIONS = [
    'type: "ReLU"',
    'type: "ReLU" relu_param { negative_slope: 0.1 }',
    'type: "ReLU" relu_param { negative_slope: 0.3 }',
    'type: "PReLU" prelu_param { filler { type: "gaussian" std: 0.5 } }',
    'type: "ELU" elu_param { alpha: 0.5 }',
    'type: "Sigmoid"',
    'type: "TanH"',
    'type: "LRN" lrn_param { local_size: 3 alpha: 0.1 k: 2 }',
    'type: "LRN" lrn_param { local_size: 3 alpha: 1 norm_region: WITHIN_CHANNEL }',
    'type: "Clip" clip_param { min: 0 max: 1 }',
    'type: "Power" power_param { scale: -1 shift: 0.3 }',
    'type: "Scale" scale_param { bias_term: true filler { type: "gaussian" std: 1 } '
    'bias_filler { type: "gaussian" std: 1 } }',
]


def random_net(seed):
    """Return (Net, input, output, prototxt) of a random net, or None if it is invalid or overflows FP16."""
    rng = random.Random(seed)
    text = "\n".join(_rows(rng))
    try:
        caffe.set_random_seed(seed)
        net = net_of(text, caffe.TEST)
    except caffe.errors.CaffeError:
        return None
    image = np.random.RandomState(seed).standard_normal(net.blobs["data"].shape).astype(np.float32)
    net.blobs["data"].data[...] = image
    net.forward()
    result = np.array(net.blobs[net.outputs[0]].data)
    return None if not np.isfinite(result).all() or np.abs(result).max() > 2000 else (net, image, result, text)


def _rows(rng):
    channels, height = rng.choice([1, 3, 4, 8, 12, 16, 20]), rng.choice([5, 6, 7, 9, 12, 13, 16, 20, 24, 31])
    width = height if rng.random() < 0.6 else rng.choice([5, 6, 8, 11, 14, 17, 28, 40])
    dims = f"dim: 1 dim: {channels} dim: {height} dim: {width}"
    yield f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {dims} }} }} }}'
    bottom = "data"
    for number in range(rng.choice([1, 2, 2, 3, 4])):
        layer = rng.choice([_convolution, _convolution, _pooling, _activation, _deconvolution])
        body, channels = layer(rng, channels)
        yield f'layer {{ name: "l{number}" bottom: "{bottom}" top: "l{number}" {body} }}'
        bottom = f"l{number}"
    if rng.random() < 0.3:
        param = f"inner_product_param {{ num_output: 10 {FILL} }}"
        yield f'layer {{ name: "fc" bottom: "{bottom}" top: "fc" type: "InnerProduct" {param} }}'
        yield 'layer { name: "end" bottom: "fc" top: "end" type: "ReLU" }'


def _convolution(rng, channels):
    kernel, outputs, group = rng.choice([1, 1, 2, 3, 3, 4, 5, 7]), rng.choice([1, 2, 5, 8, 16, 33]), 1
    if rng.random() < 0.2:
        group, outputs = channels, channels
    pad, dilation = rng.choice([0, 0, kernel // 2, 1, 2]), rng.choice([1, 1, 1, 2])
    sizes = f"kernel_size: {kernel} stride: {rng.choice([1, 1, 2, 3])} pad: {pad} dilation: {dilation} group: {group}"
    return f'type: "Convolution" convolution_param {{ num_output: {outputs} {sizes} {FILL} }}', outputs


def _deconvolution(rng, channels):
    kernel, outputs, group = rng.choice([2, 3, 4, 5]), rng.choice([2, 3, 8]), 1
    if rng.random() < 0.4:
        group, outputs = channels, channels
    sizes = f"kernel_size: {kernel} stride: {rng.choice([1, 2, 3])} dilation: {rng.choice([1, 1, 2])} group: {group}"
    return f'type: "Deconvolution" convolution_param {{ num_output: {outputs} {sizes} {FILL} }}', outputs


def _pooling(rng, channels):
    kernel = rng.choice([2, 3, 3, 4, 5])
    sizes = f"kernel_size: {kernel} stride: {rng.choice([1, 2, 2, 3])} pad: {rng.choice([0, 0, 1, kernel // 2])}"
    sizes = "global_pooling: true" if rng.random() < 0.1 else sizes
    return f'type: "Pooling" pooling_param {{ pool: {rng.choice(["MAX", "AVE"])} {sizes} }}', channels


def _activation(rng, channels):
    return rng.choice(ACTIVATIONS), channels
