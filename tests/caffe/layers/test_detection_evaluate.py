"""DetectionEvaluate compared with rows that were counted by hand."""

import numpy as np
import pytest
from support.reference import build_error, one_layer_net

TRUTH = np.array(
    [
        [0, 1, 0, 0.0, 0.0, 0.5, 0.5, 0],
        [0, 1, 0, 0.5, 0.5, 1.0, 1.0, 1],
        [0, 2, 0, 0.0, 0.5, 0.5, 1.0, 0],
        [1, 1, 0, 0.2, 0.2, 0.6, 0.6, 0],
        [-1, 0, 0, 0, 0, 0, 0, 0],
    ]
)
FOUND = np.array(
    [
        [0, 1, 0.6, 0.0, 0.0, 0.5, 0.45],  # a second detection of the first box
        [0, 1, 0.9, 0.0, 0.0, 0.5, 0.5],
        [0, 1, 0.8, 0.5, 0.5, 1.0, 1.0],  # of the difficult box
        [0, 2, 0.7, 0.6, 0.0, 0.9, 0.4],  # overlaps nothing
        [1, 2, 0.5, 0.2, 0.2, 0.6, 0.6],  # wrong label
        [2, -1, -1, -1, -1, -1, -1],
    ]
)


def evaluated(fields, found=FOUND, truth=TRUTH):
    text = f"detection_evaluate_param {{ num_classes: 3 {fields} }}"
    net = one_layer_net("DetectionEvaluate", text, [(1, 1, *found.shape), (1, 1, *truth.shape)], force=False)
    net.blobs["x0"].data[...], net.blobs["x1"].data[...] = found, truth
    return net.forward()["y0"][0, 0]


def test_rows_of_detections():
    expected = [
        [-1, 1, 3, -1, -1],
        [-1, 2, 1, -1, -1],
        [0, 1, 0.9, 1, 0],
        [0, 1, 0.8, 1, 0],
        [0, 1, 0.6, 0, 1],
        [0, 2, 0.7, 0, 1],
        [1, 2, 0.5, 0, 1],
    ]
    np.testing.assert_allclose(evaluated(""), expected, atol=1e-6)


def test_a_difficult_box_does_not_count():
    rows = evaluated("evaluate_difficult_gt: false")
    np.testing.assert_allclose(rows[0], [-1, 1, 2, -1, -1])
    np.testing.assert_allclose(rows[3], [0, 1, 0.8, 0, 0], atol=1e-6)


def test_in_pixels_both_corners_are_part_of_a_box(tmp_path):
    """A box of 3 x 3 pixels in one of 5 x 5 overlaps it by 16 / 36 of the corner points, not by 9 / 25."""
    (tmp_path / "sizes.txt").write_text("a 10 10\n")
    truth = np.array([[0, 1, 0, 0.0, 0.0, 0.5, 0.5, 0]])
    found = np.array([[0, 1, 0.9, 0.0, 0.0, 0.3, 0.3]])
    sizes = f'name_size_file: "{tmp_path}/sizes.txt"'
    assert evaluated(f"overlap_threshold: 0.43 {sizes}", found, truth)[2, 3] == 1
    assert evaluated("overlap_threshold: 0.43", found, truth)[2, 3] == 0


def test_padded_images_are_compared_without_the_padding(tmp_path):
    """An image of 10 x 20 padded to a square: the box of its upper left quarter is (0, 1/4, 1/2, 1/2) of the square."""
    (tmp_path / "sizes.txt").write_text("a 10 20\n")
    resize = "resize_param { resize_mode: FIT_LARGE_SIZE_AND_PAD height: 50 width: 50 }"
    truth = np.array([[0, 1, 0, 0.0, 0.25, 0.5, 0.5, 0]])
    near = np.array([[0, 1, 0.9, 0.0, 0.30, 0.5, 0.5]])  # 1 of 5 pixels less: 4 rows + 1 of 5 + 1
    fields = f'name_size_file: "{tmp_path}/sizes.txt" {resize}'
    assert evaluated(f"overlap_threshold: 0.83 {fields}", near, truth)[2, 3] == 1
    assert evaluated(f"overlap_threshold: 0.84 {fields}", near, truth)[2, 3] == 0


def test_faults(tmp_path):
    shapes = [(1, 1, 2, 7), (1, 1, 2, 8)]
    (tmp_path / "bad.txt").write_text("a 10\n")
    text = 'detection_evaluate_param {{ num_classes: 2 name_size_file: "{}" }}'
    assert "does not exist" in build_error("DetectionEvaluate", text.format(tmp_path / "no"), shapes)
    assert "bad.txt:1: expected" in build_error("DetectionEvaluate", text.format(tmp_path / "bad.txt"), shapes)
    with pytest.raises(Exception, match="8 columns"):
        evaluated("", truth=TRUTH[:, :7])
