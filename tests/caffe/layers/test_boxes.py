"""Overlaps and non-maximum suppression of many boxes against plain loops."""

import numpy as np
import pytest

from caffe.layers import _boxes


def overlap(one, other):
    width, height = (min(one[i + 2], other[i + 2]) - max(one[i], other[i]) for i in (0, 1))
    shared = max(width, 0) * max(height, 0)
    sizes = [
        (box[2] - box[0]) * (box[3] - box[1]) if box[2] >= box[0] and box[3] >= box[1] else 0.0 for box in (one, other)
    ]
    union = sum(sizes) - shared
    return shared / union if union > 0 else 0.0


def remaining(boxes, threshold, most, eta):
    kept = []
    for index, box in enumerate(boxes):
        if all(overlap(boxes[other], box) <= threshold for other in kept):
            kept.append(index)
            if len(kept) == most:
                break
            if eta < 1 and threshold > 0.5:
                threshold *= eta
    return kept


@pytest.mark.parametrize("number", range(24))
@pytest.mark.parametrize("count", [0, 1, 2, 17, 300])
def test_suppression(number, count):
    """More boxes than one block, equal and empty ones, and ones with negative sides."""
    rng = np.random.default_rng([number, count])
    boxes = rng.random((count, 4))
    if number % 3:
        boxes[:, 2:] = boxes[:, :2] + rng.random((count, 2)) * rng.choice([0.1, 0.4])
    if number % 4 == 1:
        boxes = np.round(boxes * 8) / 8
    threshold, eta = rng.choice([0, 0.3, 0.45, 0.7]), [1, 1, 0.9][number % 3]
    most = [None, 1, 5, 200][number % 4]
    assert _boxes.suppress(boxes, threshold, most, eta) == remaining(boxes, threshold, most, eta)


def test_boxes_that_are_no_numbers_remain():
    boxes = np.full((3, 4), np.nan, np.float32)
    assert _boxes.suppress(boxes, 0.5) == [0, 1, 2]


def test_overlaps_in_pixels():
    boxes = np.array([[0, 0, 1, 1], [1, 1, 2, 2], [5, 5, 6, 6]], np.float32)
    np.testing.assert_allclose(_boxes.overlaps(boxes[:, None], boxes, 1), [[1, 1 / 7, 0], [1 / 7, 1, 0], [0, 0, 1]])
