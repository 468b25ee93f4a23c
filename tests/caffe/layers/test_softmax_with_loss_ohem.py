"""SoftmaxWithLossOHEM compared with its definition."""

import numpy as np
from support.reference import assert_close, check_layer, one_layer_net, run


def each(x, label, ignore=None):
    found = np.zeros(label.shape)
    for place in np.ndindex(*label.shape):
        scores = np.exp(x[(place[0], slice(None), *place[2:])])
        if int(label[place]) != ignore:
            found[place] = -np.log(scores[int(label[place])] / scores.sum())
    return found


X = np.random.default_rng(28).standard_normal((2, 4, 2, 3))
LABEL = np.random.default_rng(29).integers(0, 4, (2, 1, 2, 3)).astype(float)


def test_the_loss_is_softmax_with_losss():
    check_layer(
        "SoftmaxWithLossOHEM", "", [X, LABEL], lambda x, label: [np.array(each(x, label).sum() / 12)], fixed=(1,)
    )


def test_third_top_is_the_loss_of_each_label():
    net = one_layer_net("SoftmaxWithLossOHEM", "loss_param { ignore_label: 1 }", [X.shape, LABEL.shape], tops=3)
    tops = run(net, [X, LABEL]).tops
    expected = each(X, LABEL, ignore=1)
    assert_close(tops[2], expected, "losses")
    assert_close(tops[0], expected.sum() / (LABEL != 1).sum(), "loss")
    assert_close(tops[1], np.exp(X) / np.exp(X).sum(1, keepdims=True), "softmax")
