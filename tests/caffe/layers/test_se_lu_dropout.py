"""SeLuDropout: a copy in TEST; in TRAIN zero mean and unit variance are kept."""

import numpy as np
from support.reference import build_error, one_layer_net

import caffe

TEXT = "selu_dropout_param { dropout_ratio: 0.2 }"


def test_a_copy_in_test():
    x = np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32)
    net = one_layer_net("SeLuDropout", TEXT, [x.shape])
    net.blobs["x0"].data[...] = x
    np.testing.assert_array_equal(net.forward()["y0"], x)


def test_training_keeps_mean_and_variance():
    """Klambauer et al. 2017, section "New Dropout Technique": with alpha' = -1.7581 and q kept."""
    net = one_layer_net("SeLuDropout", TEXT, [(400, 400)], phase=caffe.TRAIN)
    x = np.random.default_rng(1).standard_normal((400, 400)).astype(np.float32)
    net.blobs["x0"].data[...] = x
    top = net.forward()["y0"]
    assert abs(top.mean()) < 0.01 and abs(top.var() - 1) < 0.02
    low = -1.0507009873554805 * 1.6732632423543772
    a = (0.8 + low**2 * 0.8 * 0.2) ** -0.5
    dropped = np.isclose(top, a * low - a * 0.2 * low, atol=1e-5)
    assert abs(dropped.mean() - 0.2) < 0.01
    np.testing.assert_allclose(top[~dropped], a * x[~dropped] - a * 0.2 * low, atol=1e-5)


def test_the_ratio_is_a_fraction():
    assert "dropout_ratio" in build_error("SeLuDropout", "selu_dropout_param { dropout_ratio: 1 }", [(2, 3)])
