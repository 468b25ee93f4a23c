"""CenterLoss compared with its definition, and its centers with the fork's rule."""

import numpy as np
from support.reference import assert_close, check_layer, one_layer_net, run

X, CENTRES = np.random.default_rng(30).standard_normal((4, 3, 2)), np.random.default_rng(31).standard_normal((3, 6))
LABEL = np.array([2.0, 0, 2, 2])


def test_matches_the_definition():
    def loss(x, label, centers):
        return [np.array(sum(((x[n].ravel() - centers[int(k)]) ** 2).sum() for n, k in enumerate(label)) / 8)]

    check_layer("CenterLoss", "center_loss_param { num_output: 3 }", [X, LABEL], loss, [CENTRES], fixed=(1, 2))


def test_centers_move_to_the_mean_of_their_items_and_themselves():
    net = one_layer_net("CenterLoss", "center_loss_param { num_output: 3 }", [X.shape, LABEL.shape])
    moves = run(net, [X, LABEL], [CENTRES], [np.array(5.0)]).weight_diffs[0]
    expected = np.zeros((3, 6))
    for k in range(3):
        items = [X[n].ravel() for n in range(4) if LABEL[n] == k]
        expected[k] = sum((CENTRES[k] - item for item in items), np.zeros(6)) / (1 + len(items))
    assert_close(moves, expected, "moves")
