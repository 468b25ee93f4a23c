"""Mean average precision and intersection over union of nets for detection and segmentation."""

import types

import cv2
import numpy as np
import pytest

from agegender.evaluate import objects
from caffe.data import datum
from caffe.data.boxes import record
from caffe.data.db import create_db
from caffe.errors import CaffeError
from caffe2ncs.results import DetectionMetrics

IMAGE = np.random.default_rng(4).integers(0, 256, (20, 40, 3)).astype(np.uint8)
LEFT, RIGHT = [0, 0, 0.4, 1], [0.5, 0, 1, 1]


def database(path, boxes):
    """Write an image per list of (label, corners, difficult)."""
    with create_db(path, "lmdb") as writer:
        for number, rows in enumerate(boxes):
            image = IMAGE.copy()
            image[0, 0] = number
            values = np.array([[label, 0, *corners, difficult] for label, corners, difficult in rows], np.float32)
            planes = np.ascontiguousarray(image.transpose(2, 0, 1))
            writer.put(b"%08d" % number, record.encode(datum.encode(planes, 0), values.reshape(-1, 7)))
    return str(path)


def predictor(found, kind="detections"):
    """Return a predictor that finds the rows of `found` in the image with this number."""
    rows = [np.array([[0, label, score, *corners] for label, score, corners in one], np.float32) for one in found]
    return types.SimpleNamespace(
        labels=["background", "cat", "dog"],
        decoder=kind,
        detections=lambda image: rows[int(image[0, 0, 0])].reshape(-1, 7),
    )


def test_average_precision_by_hand(tmp_path):
    source = database(tmp_path / "db", [[(1, LEFT, 0), (2, RIGHT, 0)], [(1, RIGHT, 0)], [(1, LEFT, 1)], []])
    found = [
        [(1, 0.9, LEFT), (1, 0.8, RIGHT), (2, 0.3, LEFT)],  # right, wrong; dog at the wrong place
        [(1, 0.7, [0.55, 0, 1, 1])],  # overlaps by 0.9
        [(1, 0.95, LEFT)],  # difficult: does not count
        [],
    ]
    precisions, boxes, images = objects.average_precisions(predictor(found), source)
    assert images == 4 and boxes == {1: 2, 2: 1}
    # cats by score: right, wrong, right: the precision is 1 up to a recall of 1/2, then 2/3
    assert precisions == {1: pytest.approx(0.5 + 0.5 * 2 / 3), 2: 0}
    text = str(DetectionMetrics(0.4167, {"cat": 0.8333, "dog": 0.0}, {"cat": 2, "dog": 1}, 4))
    assert text.splitlines()[0].split() == ["cat", "0.8333", "(2", "boxes)"] and "(4 images)" in text


def test_intersection_over_union_by_hand():
    counts = np.array([[3, 1, 0], [2, 4, 0], [0, 0, 0]])
    np.testing.assert_allclose(objects.intersection_over_union(counts)[:2], [3 / 6, 4 / 7])
    assert np.isnan(objects.intersection_over_union(counts)[2])


def images(folder, truth, mask):
    """Write an image, its classes and their list; return a predictor of `mask`."""
    cv2.imwrite(str(folder / "a.png"), IMAGE)
    cv2.imwrite(str(folder / "a_label.png"), truth)
    (folder / "list.txt").write_text("a.png a_label.png\n")
    result = types.SimpleNamespace(mask=mask)
    return types.SimpleNamespace(labels=["a", "b", "c"], decoder="mask", predict_array=lambda image: result)


def test_pixels_are_counted(tmp_path):
    rng = np.random.default_rng(1)
    truth, mask = (rng.integers(0, 3, (20, 40)).astype(np.uint8) for _ in range(2))
    truth[:5] = 255
    counts = objects.confusion_of_pixels(images(tmp_path, truth, mask), str(tmp_path / "list.txt"))
    expected = np.zeros((3, 3), int)
    for place in np.ndindex(15, 40):
        expected[truth[5:][place], mask[5:][place]] += 1
    np.testing.assert_array_equal(counts, expected)


def test_faults(tmp_path):
    mask = np.zeros((20, 40), int)
    with pytest.raises(CaffeError, match=r"class 7 is outside 0 \.\. 2"):
        objects.confusion_of_pixels(images(tmp_path, np.full((20, 40), 7, np.uint8), mask), str(tmp_path / "list.txt"))
    with pytest.raises(CaffeError, match=r"a_label.png is \(3, 4\), the image is \(20, 40\)"):
        objects.confusion_of_pixels(images(tmp_path, np.zeros((3, 4), np.uint8), mask), str(tmp_path / "list.txt"))
    (tmp_path / "list.txt").write_text("a.png\n")
    with pytest.raises(CaffeError, match="list.txt:1: expected `image label`, received 'a.png'"):
        objects.confusion_of_pixels(predictor([]), str(tmp_path / "list.txt"))
    with create_db(tmp_path / "plain", "lmdb") as writer:
        writer.put(b"0", b"\xff\xff")
    with pytest.raises(CaffeError, match="record '0': not an AnnotatedDatum"):
        objects.average_precisions(predictor([]), str(tmp_path / "plain"))
