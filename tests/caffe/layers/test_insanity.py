"""Insanity compared with its definition."""

import numpy as np
from support.reference import build_error, check_layer, one_layer_net, run

import caffe

X = np.random.default_rng(32).standard_normal((4, 5))


def test_uses_the_mean_slope_in_test():
    divisor = (10 - 5) / np.log(10 / 5)
    check_layer("Insanity", "", [X], lambda x: [np.where(x > 0, x, x / divisor)])


def test_slopes_are_drawn_in_training():
    net = one_layer_net("Insanity", "insanity_param { lb: 2 ub: 4 }", [X.shape], phase=caffe.TRAIN)
    top = run(net, [X]).tops[0]
    slopes = (X / top)[X < 0]
    assert np.allclose(top[X > 0], X[X > 0])
    assert (slopes >= 2).all() and (slopes <= 4).all() and slopes.std() > 0.1


def test_bounds_must_be_positive():
    assert "0 < lb" in build_error("Insanity", "insanity_param { lb: -1 }", [(2, 3)])
