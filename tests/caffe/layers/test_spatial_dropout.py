"""SpatialDropout: a copy in TEST; whole channels are dropped in TRAIN."""

import numpy as np
from support.reference import build_error, one_layer_net, run

import caffe

X = np.random.default_rng(2).uniform(1, 2, (40, 50, 2, 3))
TEXT = "spatial_dropout_param { dropout_ratio: 0.3 }"


def test_a_copy_in_test():
    net = one_layer_net("SpatialDropout", TEXT, [X.shape])
    np.testing.assert_array_equal(run(net, [X]).tops[0], X.astype(np.float32))


def test_channels_are_dropped_in_train():
    net = one_layer_net("SpatialDropout", TEXT, [X.shape], phase=caffe.TRAIN)
    result = run(net, [X], dtops=[np.ones(X.shape)])
    dropped = (result.tops[0] == 0).all((2, 3))
    assert 0.25 < dropped.mean() < 0.35  # 2000 channels: 5 standard deviations
    factor = np.where(dropped, 0, 1 / 0.7)[..., None, None]
    np.testing.assert_allclose(result.tops[0], X * factor, rtol=1e-5)
    np.testing.assert_allclose(result.diffs[0], np.broadcast_to(factor, X.shape), rtol=1e-5)


def test_errors():
    assert "less than 1" in build_error("SpatialDropout", "spatial_dropout_param { dropout_ratio: 1 }", [(2, 3)])
