"""SegAccuracy compared with counts by hand."""

import numpy as np
from support.reference import one_layer_net, run


def test_three_measures():
    predicted = np.array([[0, 0, 1], [1, 2, 2]])
    truth = np.array([[0, 1, 1], [1, 2, 3]])
    x = np.stack([(predicted == c).astype(float) for c in range(4)])[None]
    net = one_layer_net("SegAccuracy", "seg_accuracy_param { ignore_label: 3 }", [x.shape, (1, 1, 2, 3)], force=False)
    tops = run(net, [x, truth[None, None]]).tops[0].ravel()
    assert np.allclose(tops, [4 / 5, np.mean([1, 2 / 3, 1]), np.mean([1 / 2, 2 / 3, 1])])


def test_counts_can_accumulate():
    x, truth = np.zeros((1, 2, 1, 2)), np.array([[[[0.0, 1.0]]]])
    net = one_layer_net("SegAccuracy", "seg_accuracy_param { reset: false }", [x.shape, truth.shape], force=False)
    x[0, 0] = 1
    assert np.allclose(run(net, [x, truth]).tops[0].ravel(), [1 / 2, 1 / 2, (1 / 2 + 0) / 2])
    x[0] = [[[1, 0]], [[0, 1]]]
    assert np.allclose(run(net, [x, truth]).tops[0].ravel()[0], 3 / 4)
