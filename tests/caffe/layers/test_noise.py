"""Noise: a copy in TEST; in TRAIN the mean and the deviation of what is added."""

import numpy as np
from support.reference import one_layer_net, run

import caffe

X = np.random.default_rng(2).standard_normal((40, 500)) * 3


def added(text):
    net = one_layer_net("Noise", f"noise_param {{ {text} }}", [X.shape], phase=caffe.TRAIN)
    result = run(net, [X], dtops=[np.ones(X.shape)])
    np.testing.assert_array_equal(result.diffs[0], 1)
    return result.tops[0] - X


def test_a_copy_in_test():
    net = one_layer_net("Noise", "noise_param { gaussian_std: 0.5 }", [X.shape])
    np.testing.assert_array_equal(run(net, [X]).tops[0], X.astype(np.float32))


def test_gaussian_noise_is_relative_to_the_bottom():
    noise = added("gaussian_std: 0.5 bias: 1")
    size = 0.5 * np.sqrt((X**2).mean())
    assert abs(noise.mean() - 1) < 5 * size / np.sqrt(X.size)
    assert abs(noise.std() / size - 1) < 0.03


def test_uniform_noise():
    noise = added("uniform_range: 0.25 bias: 1")
    assert noise.min() >= 0.75 - 1e-5 and noise.max() <= 1.25 + 1e-5
    assert abs(noise.std() - 0.5 / np.sqrt(12)) < 0.005
