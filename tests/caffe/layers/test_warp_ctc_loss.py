"""WarpCTCLoss compared with the sum over all paths."""

import numpy as np
from support import ctc_paths
from support.reference import assert_close, one_layer_net, run, slope

SCORES = np.random.default_rng(22).standard_normal((4, 3, 3))


def costs(scores, labels):
    found = [ctc_paths.cost(scores[:, n], labels[n], 0) for n in range(scores.shape[1])]
    return [cost for cost in found if cost is not None]


def test_mean_cost_with_the_gradient_of_the_sum():
    """The third sequence cannot have five labels in four steps and does not count."""
    labels = np.array([[1, 2, 0, 0, 0], [2, 2, 0, 0, 0], [1, 2, 1, 2, 1]])
    sequences = ([1, 2], [2, 2], [1, 2, 1, 2, 1])
    net = one_layer_net("WarpCTCLoss", "loss_weight: 1", [SCORES.shape, labels.shape])
    result = run(net, [SCORES, labels], dtops=[np.ones(())])
    assert_close(result.tops[0], np.mean(costs(SCORES, sequences)), "loss")
    total = [lambda s: [np.array(sum(costs(s, sequences)))]][0]
    assert_close(result.diffs[0], slope(total, SCORES, [np.ones(())]), "gradient", 2e-4)


def test_labels_by_step_start_at_zero():
    net = one_layer_net("WarpCTCLoss", "", [(4, 1, 3), (4, 1), (2, 1)])
    result = run(net, [SCORES[:, :1], np.ones((4, 1)), np.array([[0], [1]])])
    assert_close(result.tops[0], ctc_paths.cost(SCORES[:, 0], [1, 2], 0), "loss")
