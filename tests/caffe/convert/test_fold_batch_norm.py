"""Folding BatchNorm keeps the outputs of a net for all combinations of neighbouring layers."""

import numpy as np
import pytest

import caffe
from agegender.zoo import wideresnet
from caffe.convert.fold_batch_norm import fold_norm
from caffe.net.net import Net
from caffe.proto.read import read_net_text

INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 6 dim: 5 } } } '
CONV = (
    'layer { name: "c" type: "Convolution" bottom: "data" top: "c" '
    "convolution_param { num_output: 4 kernel_size: 3 %s } } "
)
NORM = 'layer { name: "n" type: "BatchNorm" bottom: "%s" top: "%s" } '
SCALE = 'layer { name: "s" type: "Scale" bottom: "%s" top: "%s" scale_param { bias_term: %s } } '
RELU = 'layer { name: "r" type: "ReLU" bottom: "%s" top: "r" } '
SUM = 'layer { name: "sum" type: "Eltwise" bottom: "c" bottom: "%s" top: "sum" } '


def random_net(param, seed=0):
    """A Net with random weights and plausible BatchNorm statistics."""
    net, rng = Net.from_param(param, caffe.TEST), np.random.default_rng(seed)
    for layer in net.param.layer:
        for index, blob in enumerate(net.params.get(layer.name, ())):
            blob.data[...] = rng.normal(0, 1 / np.sqrt(blob.count // blob.shape[0] + 1), blob.data.shape)
            if layer.type == "BatchNorm":
                blob.data[...] = [rng.normal(0, 2, blob.data.shape), rng.uniform(1, 9, blob.data.shape), 3.0][index]
            elif layer.type == "Scale" and index == 0:
                blob.data[...] = rng.uniform(-2, 2, blob.data.shape)
    return net


def folded_net(net, param):
    arrays = {name: [blob.data.copy() for blob in blobs] for name, blobs in net.params.items()}
    param, arrays = fold_norm(param, arrays)
    out = Net.from_param(param, caffe.TEST)
    for name, blobs in out.params.items():
        assert len(blobs) == len(arrays[name])
        for blob, array in zip(blobs, arrays[name]):
            blob.data[...] = array
    return out


def outputs(net, seed=1):
    data = next(iter(net.blobs.values()))
    data.data[...] = np.random.default_rng(seed).normal(0, 1, data.data.shape)
    net.forward()
    return {name: net.blobs[name].data.copy() for name in net.outputs}


@pytest.mark.parametrize(
    "layers, expected_types",
    [
        (CONV % "" + NORM % ("c", "n") + SCALE % ("n", "s", "true") + RELU % "s", ["Input", "Convolution", "ReLU"]),
        (CONV % "bias_term: false" + NORM % ("c", "c") + SCALE % ("c", "c", "false") + RELU % "c",
         ["Input", "Convolution", "ReLU"]),
        (CONV % "" + SCALE % ("c", "s", "true"), ["Input", "Convolution"]),
        (NORM % ("data", "n") + SCALE % ("n", "s", "true") + RELU % "s", ["Input", "Scale", "ReLU"]),
        (CONV % "" + NORM % ("c", "n") + SUM % "n", ["Input", "Convolution", "Scale", "Eltwise"]),
        (CONV % "" + RELU % "c" + NORM % ("r", "n"), ["Input", "Convolution", "ReLU", "Scale"]),
        ('layer { name: "f" type: "InnerProduct" bottom: "data" top: "f" inner_product_param { num_output: 4 } } '
         + NORM % ("f", "n") + SCALE % ("n", "s", "true"), ["Input", "InnerProduct"]),
        (CONV % "" + 'layer { name: "s" type: "Scale" bottom: "c" top: "s" scale_param { num_axes: 3 } } ',
         ["Input", "Convolution", "Scale"]),
    ],
)  # fmt: skip
def test_outputs_are_unchanged(layers, expected_types):
    param = read_net_text(INPUT + layers, "net.prototxt").param
    net = random_net(param)
    folded = folded_net(net, param)
    assert [layer.type for layer in folded.param.layer if layer.type != "Split"] == expected_types
    expected = outputs(net)
    results = outputs(folded)
    assert len(expected) == len(results)
    for value, result in zip(expected.values(), results.values()):
        np.testing.assert_allclose(result, value, rtol=1e-4, atol=1e-4)


def test_pre_activation_normalisations_become_scales():
    """A wide residual net: of its 13 normalisations, those after the first convolution of a block can be folded."""
    param = wideresnet.body(width=1, side=32, global_pooling=True)
    net = random_net(param)
    folded = folded_net(net, param)
    types = [layer.type for layer in folded.param.layer]
    assert "BatchNorm" not in types and types.count("Scale") < [layer.type for layer in param.layer].count("Scale")
    expected, results = outputs(net), outputs(folded)
    for name in ("pred_age", "pred_gender"):
        np.testing.assert_allclose(results[name], expected[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("text", "expected_types"),
    [
        ("batch_norm_param { scale_bias: true }", ["Input", "Convolution"]),
        ("batch_norm_param { add_eps_before_sqrt: false eps: 0.1 }", ["Input", "Convolution"]),
        ("batch_norm_param { relu: true }", ["Input", "Convolution", "BatchNorm", "ReLU"]),
    ],
)
def test_normalisations_of_forks(text, expected_types):
    norm = f'layer {{ name: "n" type: "BatchNorm" bottom: "c" top: "n" {text} }} '
    param = read_net_text(INPUT + CONV % "" + norm, "net").param
    net, rng = Net.from_param(param, caffe.TEST), np.random.default_rng(2)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = rng.uniform(0.5, 2, blob.data.shape)
    folded = folded_net(net, param)
    assert [layer.type for layer in folded.param.layer] == expected_types
    for name, expected in outputs(net).items():
        result = outputs(folded)[name if name in folded.outputs else folded.outputs[0]]
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


def test_normalisation_after_the_relu_of_a_convolution_is_not_folded():
    text = CONV % "relu: true" + NORM % ("c", "n")
    net = random_net(read_net_text(INPUT + text, "net").param)
    folded = folded_net(net, read_net_text(INPUT + text, "net").param)
    assert [layer.type for layer in folded.param.layer] == ["Input", "Convolution", "ReLU", "Scale"]
    for name, expected in outputs(net).items():
        np.testing.assert_allclose(outputs(folded)[name], expected, rtol=1e-4, atol=1e-4)
