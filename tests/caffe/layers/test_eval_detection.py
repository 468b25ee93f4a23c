"""EvalDetection: detections of constructed maps."""

import numpy as np
from support.reference import build_error, one_layer_net, run

SIDE, CLASSES = 3, 2
TEXT = "eval_detection_param { side: 3 num_class: 2 num_object: 2 nms: 0.5 biases: [1, 1, 2.5, 2] "
LABELS = np.array([[[1, 0.5, 0.5, 1 / 3, 1 / 3], [0, 5 / 6, 0.5, 0.3, 0.3], [0] * 5]])


def maps(*found):
    """Return bottoms in which only `found` (anchor, row, column, class, logit of the object) are detections."""
    x = np.zeros((1, 2, 7, SIDE, SIDE), np.float32)
    x[:, :, 4] = -20
    for anchor, row, column, label, logit in found:
        x[0, anchor, 4, row, column] = logit
        x[0, anchor, 5 + label, row, column] = 30
    return x.reshape(1, 14, SIDE, SIDE)


def evaluated(x, labels=LABELS, text=""):
    net = one_layer_net("EvalDetection", TEXT + text + " }", [x.shape, (1, labels.size)], force=False)
    row = run(net, [x, labels.reshape(1, -1)]).tops[0][0]
    assert row.shape == (CLASSES + 4 * SIDE * SIDE * 2,)
    rows = row[CLASSES:].reshape(-1, 4)
    return row[:CLASSES].tolist(), rows[rows[:, 1] > 0]


def test_right_wrong_and_too_far():
    scores = 1 / (1 + np.exp(-np.array([2.0, 1.0, 3.0])))
    # class 1: the box exactly; class 0: a box elsewhere (neither), and class 0 at its box
    counts, rows = evaluated(maps((0, 1, 1, 1, 2.0), (0, 0, 0, 0, 1.0), (0, 1, 2, 0, 3.0)))
    assert counts == [1, 1]
    assert np.allclose(rows, [[0, scores[2], 1, 0], [0, scores[1], 0, 0], [1, scores[0], 1, 0]], atol=1e-5)


def test_a_class_without_boxes_and_repeated_detections():
    only = LABELS[:, :1]
    counts, rows = evaluated(maps((0, 1, 1, 1, 2.0), (1, 1, 1, 0, 3.0), (0, 0, 0, 0, 1.0)), only, "threshold: 0.1")
    assert counts == [0, 1]
    assert rows[:, 2:].tolist() == [[0, 1], [0, 1], [1, 0]]
    _, rows = evaluated(maps((0, 1, 1, 1, 2.0), (1, 1, 1, 1, 3.0)), only, "threshold: 0.1")
    assert rows[:, 2:].tolist() == [[1, 0], [0, 1]]  # the better one counts


def test_nms_and_score_types():
    near = maps((0, 1, 1, 1, 2.0), (0, 1, 2, 1, 3.0))
    near.reshape(2, 7, 3, 3)[0, 0, 1, 1:] = 4, -4  # moves the boxes to each other
    _, rows = evaluated(near)
    assert len(rows) == 1 and np.isclose(rows[0, 1], 1 / (1 + np.exp(-3.0)))
    _, rows = evaluated(maps((0, 1, 1, 1, 2.0)), text="score_type: PROB")
    assert np.isclose(rows[:, 1].max(), 1) and len(rows) > 1


def test_errors():
    assert "nms must not be negative" in build_error("EvalDetection", "", [(1, 14, 3, 3), (1, 5)])
    assert "expected N x 14 x 3 x 3" in build_error("EvalDetection", TEXT + "}", [(1, 14, 4, 4), (1, 5)])
