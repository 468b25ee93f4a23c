"""Yolov3 compared with loops over anchors, cells and boxes."""

import math

import numpy as np
import pytest
from support.reference import build_error, one_layer_net, run
from support.yolo import intersection_over_union, sigmoid

CLASSES, MASK, ANCHORS = 2, [1, 2], [(6.0, 7.0), (12.0, 10.0), (20.0, 24.0)]
TEXT = (
    "yolov3_param { num_class: 2 num: 2 thresh: 0.2 class_scale: 1.5 coord_scale: 0.8 object_scale: 3 anchors_scale: 8 "
    "mask: [1, 2] biases: [6, 7, 12, 10, 20, 24] "
)
LABELS = np.array([
    [[1, 0.4, 0.55, 0.5, 0.4], [0, 0.42, 0.56, 0.45, 0.4], [1, 0.9, 0.2, 0.1, 0.15], [0] * 5],
    [[0, 0.5, 0.5, 0.8, 0.9], [0] * 5, [0] * 5, [0] * 5],
])  # fmt: skip


def overlap_steps(box, truth, cell, generalized):
    """Return the moves that increase the overlap, by central differences."""
    moves = np.zeros(4)
    for i in range(4):
        step = np.eye(4)[i] * 1e-6
        ends = [intersection_over_union(box + sign * step, truth, generalized) for sign in (1, -1)]
        moves[i] = 0.25 * (ends[0] - ends[1]) / 2e-6 * (2 * math.exp(cell[i]) if i > 1 else 1)
    return moves


def set_classes(target, cell, label, smooth, focal):
    """Set the differences of the classes."""
    if target[label]:
        target[label] = 1.5 * (cell[label] - (1 - smooth / 2))
        return
    p = cell[label]
    factor = -0.5 * (1 - p) * (2 * p * math.log(p) + p - 1)
    for c in range(CLASSES):
        right = float(c == label)
        target[c] = 1.5 * ((cell[c] - right) * factor if focal else cell[c] - (right * (1 - smooth) + smooth / 2))


def reference(x, labels, smooth, iou_thresh, logic=False, focal=False, generalized=None):
    """Return loss and gradient; `generalized` True: GIOU, False: IOU, None: squared differences."""
    _, channels, height, width = x.shape
    length, big = channels // len(MASK), (width * 8, height * 8)
    out = np.zeros_like(x)
    lost = []
    gen = bool(generalized)
    slopes = np.ones_like(x)
    for n, item in enumerate(x):
        cells = item.reshape(len(MASK), length, height, width).copy()
        for place in np.ndindex(cells.shape):
            if place[1] not in (2, 3):
                cells[place] = sigmoid(cells[place])
                slopes[n].reshape(cells.shape)[place] = cells[place] * (1 - cells[place])
        diff = out[n].reshape(cells.shape)

        def box(cell, a, row, column):
            return [
                (column + cell[0]) / width, (row + cell[1]) / height,
                math.exp(cell[2]) * ANCHORS[a][0] / big[0], math.exp(cell[3]) * ANCHORS[a][1] / big[1],
            ]  # fmt: skip

        truths = [t for t in labels[n] if t[3]]
        for k, row, column in np.ndindex(len(MASK), height, width):
            own = box(cells[k, :, row, column], MASK[k], row, column)
            if all(intersection_over_union(own, t[1:], gen) <= 0.2 for t in truths):
                diff[k, 4, row, column] = cells[k, 4, row, column]
        for label, cx, cy, w, h in truths:
            row, column = int(cy * height), int(cx * width)
            fits = [intersection_over_union([0, 0, aw / big[0], ah / big[1]], [0, 0, w, h], gen) for aw, ah in ANCHORS]
            for k, a in enumerate(MASK):
                if not (fits[a] == max(fits) > 0 or fits[a] > iou_thresh):
                    continue
                cell, target = cells[k, :, row, column], diff[k, :, row, column]
                own = np.array(box(cell, a, row, column))
                if generalized is None:
                    anchor = (ANCHORS[a][0] / big[0], ANCHORS[a][1] / big[1])
                    offsets = (cx * width - column, cy * height - row, math.log(w / anchor[0]), math.log(h / anchor[1]))
                    target[:4] = 0.8 * (2 - w * h) * (cell[:4] - offsets)
                else:
                    lost.append(1 - intersection_over_union(own, [cx, cy, w, h], gen))
                    target[:4] -= overlap_steps(own, [cx, cy, w, h], cell, gen)
                target[4] = (cell[4] - 1) * (3 if logic else 1)
                set_classes(target[5:], cell[5:], int(label), smooth, focal)
    squares = out.reshape(len(x), len(MASK), length, -1)[:, :, 0 if generalized is None else 4 :]
    loss = (squares**2).sum() + (0.25 * np.mean(lost) if lost else 0)
    return loss / len(x), out * (slopes if logic else 1) / len(x)


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("", {}),
        ("iou_thresh: 1 label_smooth_eps: 0 use_focal_loss: true", {"iou_thresh": 1, "smooth": 0, "focal": True}),
        ("use_logic_gradient: true iou_thresh: 0.3", {"logic": True, "iou_thresh": 0.3}),
        ("iou_loss: GIOU iou_thresh: 0.4", {"generalized": True, "iou_thresh": 0.4}),
        ("iou_loss: IOU", {"generalized": False}),
    ],
    ids=["default", "focal", "logic", "giou", "iou"],
)
def test_matches_loops(text, settings):
    x = np.random.default_rng(3).standard_normal((2, 14, 3, 4)).astype(np.float32).astype(float)
    loss, gradient = reference(x, LABELS, **{"smooth": 0.1, "iou_thresh": 0.5, **settings})
    net = one_layer_net("Yolov3", TEXT + text + " }", [x.shape, (2, 20)])
    result = run(net, [x, LABELS.reshape(2, 20)], dtops=[np.array(3.0)])
    assert np.isclose(result.tops[0], loss, rtol=1e-5)
    assert np.allclose(result.diffs[0], 3 * gradient, rtol=1e-4, atol=2e-5)


def test_errors():
    shapes = [(1, 14, 3, 3), (1, 5)]
    assert "iou_loss: CIOU is not implemented" in build_error("Yolov3", TEXT + "iou_loss: CIOU }", shapes)
    assert "mask must list" in build_error("Yolov3", "yolov3_param { num: 2 mask: [0, 4] biases: [1, 2] }", shapes)
