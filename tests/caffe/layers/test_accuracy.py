"""Accuracy compared with a loop over labels; ties count against the label."""

import numpy as np
import pytest
from support.layer_nets import net_of, run_layer

from caffe.errors import CaffeError

RNG = np.random.default_rng(4)


def reference(scores, labels, axis, top_k, ignore):
    """Return (accuracy, accuracy per class); a label is correct if fewer than top_k others score as high or higher."""
    classes = scores.shape[axis]
    rows = np.moveaxis(scores, axis, -1).reshape(-1, classes)
    hits, total = np.zeros(classes), np.zeros(classes)
    for row, label in zip(rows, labels.ravel().astype(int)):
        if label == ignore:
            continue
        rivals = sum(1 for c in range(classes) if c != label and row[c] >= row[label])
        total[label] += 1
        hits[label] += rivals < top_k
    accuracy = hits.sum() / total.sum() if total.sum() else 0.0
    return accuracy, [h / t if t else 0.0 for h, t in zip(hits, total)]


CASES = [
    ((20, 5), (20,), 1, 1, None),
    ((20, 5), (20, 1), 1, 3, None),
    ((4, 5, 3, 2), (4, 3, 2), 1, 2, 3),
    ((3, 4, 6), (3, 4), 2, 1, 0),
    ((3, 4, 6), (12,), -1, 6, None),
    ((6, 8), (8,), 0, 2, 5),
]


@pytest.mark.parametrize("shape, labels, axis, top_k, ignore", CASES)
@pytest.mark.parametrize("ties", [False, True])
def test_matches_the_reference(shape, labels, axis, top_k, ignore, ties):
    x = RNG.integers(0, 3, shape) if ties else RNG.normal(size=shape).astype(np.float32)
    label = RNG.integers(0, shape[axis], labels)
    ignore_label = "" if ignore is None else f"ignore_label: {ignore}"
    text = f"accuracy_param {{ axis: {axis} top_k: {top_k} {ignore_label} }}"
    accuracy, per_class = reference(x, label, axis, top_k, ignore)
    for tops in (1, 2):
        run = run_layer("Accuracy", text, x, label, tops=tops, backward=False)
        assert run.tops[0].shape == () and np.allclose(run.tops[0], accuracy)
    assert np.allclose(run.tops[1], per_class)


def test_accuracy_is_zero_if_all_labels_are_ignored():
    run = run_layer("Accuracy", "accuracy_param { ignore_label: 1 }", np.ones((2, 3)), [1, 1], tops=2)
    assert run.tops[0] == 0 and (run.tops[1] == 0).all()


def test_invalid_inputs_raise():
    with pytest.raises(CaffeError, match="top_k must not exceed the 3 classes, received 4"):
        run_layer("Accuracy", "accuracy_param { top_k: 4 }", np.ones((2, 3)), [0, 1])
    with pytest.raises(CaffeError, match=r"expected 2 labels for predictions \(2, 3\) .*, received \(3,\)"):
        run_layer("Accuracy", "", np.ones((2, 3)), [0, 1, 2])
    with pytest.raises(CaffeError, match=r"layer 'layer' \(Accuracy\): label 3 is outside 0 .. 2"):
        run_layer("Accuracy", "", np.ones((2, 3)), [0, 3])


def test_accuracy_does_not_prevent_backward():
    net = net_of("""
        layer { name: "x" type: "Input" top: "x" top: "l"
          input_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }
        layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 2 } }
        layer { name: "a" type: "Accuracy" bottom: "ip" bottom: "l" top: "a" }
        layer { name: "s" type: "SoftmaxWithLoss" bottom: "ip" bottom: "l" top: "s" }""")
    net.blobs["x"].data[...] = 1
    net.forward()
    net.backward()
    assert np.abs(net.params["ip"][0].diff).sum() > 0
