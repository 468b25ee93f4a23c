"""Folding: the net without BatchNorm gives the same answers, whatever stands around it."""

import numpy as np
import pytest

import caffe
from agegender.zoo import wideresnet
from caffe.convert.fold_batch_norm import fold_norm
from caffe.net.net import Net
from caffe.proto.read import read_net_text

INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 6 dim: 5 } } } '
CONV = 'layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 4 kernel_size: 3 %s } } '
NORM = 'layer { name: "n" type: "BatchNorm" bottom: "%s" top: "%s" } '
SCALE = 'layer { name: "s" type: "Scale" bottom: "%s" top: "%s" scale_param { bias_term: %s } } '
RELU = 'layer { name: "r" type: "ReLU" bottom: "%s" top: "r" } '
SUM = 'layer { name: "sum" type: "Eltwise" bottom: "c" bottom: "%s" top: "sum" } '


def filled(param, seed=0):
    """A Net of random weights, with statistics as a training leaves them."""
    net, rng = Net.from_param(param, caffe.TEST), np.random.default_rng(seed)
    for layer in net.param.layer:
        for index, blob in enumerate(net.params.get(layer.name, ())):
            blob.data[...] = rng.normal(0, 1 / np.sqrt(blob.count // blob.shape[0] + 1), blob.data.shape)
            if layer.type == "BatchNorm":
                blob.data[...] = [rng.normal(0, 2, blob.data.shape), rng.uniform(1, 9, blob.data.shape), 3.0][index]
            elif layer.type == "Scale" and index == 0:
                blob.data[...] = rng.uniform(-2, 2, blob.data.shape)
    return net


def preprocessing_of(net, param):
    arrays = {name: [blob.data.copy() for blob in blobs] for name, blobs in net.params.items()}
    param, arrays = fold_norm(param, arrays)
    out = Net.from_param(param, caffe.TEST)
    for name, blobs in out.params.items():
        assert len(blobs) == len(arrays[name])
        for blob, array in zip(blobs, arrays[name]):
            blob.data[...] = array
    return out


def answers(net, seed=1):
    data = next(iter(net.blobs.values()))
    data.data[...] = np.random.default_rng(seed).normal(0, 1, data.data.shape)
    net.forward()
    return {name: net.blobs[name].data.copy() for name in net.outputs}


@pytest.mark.parametrize(
    "layers, left",
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
def test_the_answers_stay(layers, left):
    param = read_net_text(INPUT + layers, "net.prototxt").param
    net = filled(param)
    out = preprocessing_of(net, param)
    assert [layer.type for layer in out.param.layer if layer.type != "Split"] == left
    expected = answers(net)
    got = answers(out)
    assert len(expected) == len(got)
    for value, other in zip(expected.values(), got.values()):
        np.testing.assert_allclose(other, value, rtol=1e-4, atol=1e-4)


def test_what_stands_before_activations_stays_as_one_scale_and_the_rest_goes():
    """A wide residual net: 13 normalisations, of which those behind the first convolution of a block can be folded."""
    param = wideresnet.body(width=1, side=32, whole_plane=True)
    whole = filled(param)
    out = preprocessing_of(whole, param)
    kinds = [layer.type for layer in out.param.layer]
    assert "BatchNorm" not in kinds and kinds.count("Scale") < [layer.type for layer in param.layer].count("Scale")
    expected, got = answers(whole), answers(out)
    for name in ("pred_age", "pred_gender"):
        np.testing.assert_allclose(got[name], expected[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("batch_norm_param { scale_bias: true }", ["Input", "Convolution"]),
        ("batch_norm_param { add_eps_before_sqrt: false eps: 0.1 }", ["Input", "Convolution"]),
        ("batch_norm_param { relu: true }", ["Input", "Convolution", "BatchNorm", "ReLU"]),
    ],
)
def test_normalizations_of_forks(text, left):
    norm = f'layer {{ name: "n" type: "BatchNorm" bottom: "c" top: "n" {text} }} '
    param = read_net_text(INPUT + CONV % "" + norm, "net").param
    net, rng = Net.from_param(param, caffe.TEST), np.random.default_rng(2)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = rng.uniform(0.5, 2, blob.data.shape)
    made = preprocessing_of(net, param)
    assert [layer.type for layer in made.param.layer] == left
    for name, expected in answers(net).items():
        assert np.allclose(answers(made)[name if name in made.outputs else made.outputs[0]], expected, atol=1e-4)


def test_a_relu_inside_a_convolution_is_not_folded_over():
    text = CONV % "relu: true" + NORM % ("c", "n")
    net = filled(read_net_text(INPUT + text, "net").param)
    made = preprocessing_of(net, read_net_text(INPUT + text, "net").param)
    assert [layer.type for layer in made.param.layer] == ["Input", "Convolution", "ReLU", "Scale"]
    for name, expected in answers(net).items():
        assert np.allclose(answers(made)[name], expected, atol=1e-4)
