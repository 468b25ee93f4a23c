"""RegionLoss compared with loops over anchors, cells and boxes."""

import math

import numpy as np
import pytest
from support.layer_nets import net_of
from support.reference import build_error, input_layer, one_layer_net, run
from support.yolo import intersection_over_union, sigmoid

from caffe.errors import CaffeError

CLASSES, ANCHORS = 3, [(1.0, 1.5), (2.5, 2.0)]
TEXT = (
    "region_loss_param { num_class: 3 num: 2 thresh: 0.3 object_scale: 5 noobject_scale: 1.5 coord_scale: 2 "
    "class_scale: 3 biases: [1, 1.5, 2.5, 2] "
)
LABELS = np.array(
    [[[1, 0.4, 0.55, 0.5, 0.4], [2, 0.9, 0.2, 0.15, 0.3], [0, 0, 0, 0, 0]], [[0, 0.5, 0.5, 0.9, 0.8], [0] * 5, [0] * 5]]
)


def reference(x, labels, rescore, bias_match):
    """Return loss and gradient."""
    _, channels, height, width = x.shape
    length = channels // len(ANCHORS)
    gradient = np.zeros_like(x)
    for n, item in enumerate(x):

        def value(a, c, row, column, item=item):
            return item[a * length + c, row, column]

        def box(a, row, column):
            return [
                (column + sigmoid(value(a, 0, row, column))) / width,
                (row + sigmoid(value(a, 1, row, column))) / height,
                math.exp(value(a, 2, row, column)) * ANCHORS[a][0] / width,
                math.exp(value(a, 3, row, column)) * ANCHORS[a][1] / height,
            ]

        truths = [t for t in labels[n] if t[3]]
        for a, row, column in np.ndindex(len(ANCHORS), height, width):
            score = sigmoid(value(a, 4, row, column))
            if all(intersection_over_union(box(a, row, column), t[1:]) <= 0.3 for t in truths):
                gradient[n, a * length + 4, row, column] = 1.5 * score * score * (1 - score)
        for label, cx, cy, w, h in truths:
            row, column = int(cy * height), int(cx * width)
            sizes = [box(a, row, column)[2:] for a in range(len(ANCHORS))]
            if bias_match:
                sizes = [(aw / width, ah / height) for aw, ah in ANCHORS]
            fits = [intersection_over_union([0, 0, *size], [0, 0, w, h]) for size in sizes]
            a = fits.index(max(fits))
            out = gradient[n, a * length : (a + 1) * length, row, column]
            sx, sy = sigmoid(value(a, 0, row, column)), sigmoid(value(a, 1, row, column))
            scale = 2 * (1 if rescore else 2 - w * h)
            out[0] = scale * (sx - (cx * width - column)) * sx * (1 - sx)
            out[1] = scale * (sy - (cy * height - row)) * sy * (1 - sy)
            out[2] = scale * (value(a, 2, row, column) - math.log(w * width / ANCHORS[a][0]))
            out[3] = scale * (value(a, 3, row, column) - math.log(h * height / ANCHORS[a][1]))
            score = sigmoid(value(a, 4, row, column))
            wanted = intersection_over_union(box(a, row, column), [cx, cy, w, h]) if rescore else 1
            out[4] = 5 * (score - wanted) * score * (1 - score)
            exponents = [math.exp(value(a, 5 + c, row, column)) for c in range(CLASSES)]
            for c in range(CLASSES):
                out[5 + c] = 3 * (exponents[c] / sum(exponents) - (c == label))
    return (gradient**2).sum() / len(x), gradient / len(x)


@pytest.mark.parametrize(("rescore", "bias_match"), [(1, 1), (0, 0), (1, 0)])
def test_matches_loops(rescore, bias_match):
    x = np.random.default_rng(3).standard_normal((2, 16, 3, 4)).astype(np.float32).astype(float)
    loss, gradient = reference(x, LABELS, rescore, bias_match)
    net = one_layer_net("RegionLoss", TEXT + f"rescore: {rescore} bias_match: {bias_match} }}", [x.shape, (2, 15)])
    result = run(net, [x, LABELS.reshape(2, 15)], dtops=[np.array(2.0)])
    assert np.isclose(result.tops[0], loss, rtol=1e-5)
    assert np.allclose(result.diffs[0], 2 * gradient, rtol=1e-4, atol=1e-6)


def test_rows_of_annotated_data_are_labels():
    x = np.random.default_rng(4).standard_normal((2, 16, 3, 3))
    rows = [
        [n, t[0] + 1, 0, t[1] - t[3] / 2, t[2] - t[4] / 2, t[1] + t[3] / 2, t[2] + t[4] / 2, 0]
        for n in (0, 1)
        for t in LABELS[n]
        if t[3]
    ]
    losses = []
    for labels in (LABELS.reshape(2, 15), np.array(rows)[None, None]):
        net = one_layer_net("RegionLoss", TEXT + "}", [x.shape, labels.shape])
        losses.append(float(run(net, [x, labels]).tops[0]))
    assert np.isclose(losses[0], losses[1], rtol=1e-5)


def test_descent_reduces_the_loss():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 16, 3, 3)).astype(np.float32)
    net = one_layer_net("RegionLoss", TEXT + "}", [x.shape, (2, 15)])
    net.blobs["x0"].data[...], net.blobs["x1"].data[...] = x, LABELS.reshape(2, 15)
    before = float(net.forward()["y0"])
    for _ in range(200):
        net.forward()
        net.backward()
        net.blobs["x0"].data[...] -= 0.05 * net.blobs["x0"].diff
    assert float(net.forward()["y0"]) < 0.2 * before


def test_errors():
    assert "expected 2 biases per anchor (4)" in build_error(
        "RegionLoss", "region_loss_param { num: 2 }", [(1, 14, 3, 3), (1, 5)]
    )
    assert "expected N x 16" in build_error("RegionLoss", TEXT + "}", [(1, 14, 3, 3), (1, 5)])
    assert "rows of 5 numbers" in build_error("RegionLoss", TEXT + "}", [(1, 16, 3, 3), (1, 7)])
    net = net_of(
        input_layer("x", (1, 16, 3, 3))
        + input_layer("t", (1, 5))
        + f'layer {{ name: "l" type: "RegionLoss" bottom: "x" bottom: "t" top: "y" {TEXT} }} }}'
    )
    net.blobs["t"].data[...] = [7, 0.5, 0.5, 0.1, 0.1]
    with pytest.raises(CaffeError, match=r"label 7 is outside 0 \.\. 2"):
        net.forward()
    net.blobs["t"].data[...] = [1, 1.5, 0.5, 0.1, 0.1]
    with pytest.raises(CaffeError, match="outside the image"):
        net.forward()
