"""CTCLoss compared with the sum over all paths."""

import numpy as np
import pytest
from support import ctc_paths
from support.reference import build_error, check_layer, one_layer_net

SCORES = np.random.default_rng(21).standard_normal((4, 2, 3))


def mean(scores, lengths, labels, blank):
    costs = [ctc_paths.cost(scores[: lengths[n], n], labels[n], blank) for n in range(scores.shape[1])]
    return [np.array(sum(costs) / len(costs))]


def test_labels_padded_with_the_blank():
    labels = np.array([[1, 2, 0], [2, 0, 0]])
    check_layer("CTCLoss", "", [SCORES, labels], lambda s, _: mean(s, (4, 4), ([1, 2], [2]), 0), fixed=(1,))


def test_indicators_end_sequences():
    going = np.array([[0, 0], [1, 1], [1, 0], [1, 1]])
    labels = np.array([[0, 1], [0, -1]])
    text = "ctc_loss_param { blank_index: -1 }"
    reference = [lambda s, *_: mean(s, (4, 2), ([0, 0], [1]), 2)][0]
    check_layer("CTCLoss", text, [SCORES, going, labels], reference, fixed=(1, 2))


def test_explicit_lengths():
    bottoms = [SCORES, np.array([3, 4]), np.array([1, 2]), np.array([[2, 1], [0, 1]])]
    check_layer("CTCLoss", "", bottoms, lambda s, *_: mean(s, (3, 4), ([2], [1, 1]), 0), fixed=(1, 2, 3))


def test_a_sequence_too_short_for_its_labels_has_no_loss():
    net = one_layer_net("CTCLoss", "", [(2, 1, 3), (1, 3)])
    net.blobs["x1"].data[...] = [[1, 2, 1]]
    assert net.forward()["y0"] == 0
    net.backward()
    assert not net.blobs["x0"].diff.any()


def test_faults():
    assert "blank_index 3 is not one of 3 classes" in build_error(
        "CTCLoss", "ctc_loss_param { blank_index: 3 }", [(2, 1, 3), (1, 2)]
    )
    net = one_layer_net("CTCLoss", "", [(4, 1, 3), (1, 2)])
    net.blobs["x1"].data[...] = [[1, 3]]
    with pytest.raises(Exception, match="label 3 is not one of the 3 classes"):
        net.forward()
