"""PriorBox compared with SSD's description, box by box."""

import math

import numpy as np
from support.reference import assert_close, build_error, one_layer_net, run


def priors(rows, columns, image, least, largest, ratios, variances, clip, offset=0.5):
    boxes = []
    for i in range(rows):
        for j in range(columns):
            x, y = (j + offset) * image[1] / columns, (i + offset) * image[0] / rows
            sizes = [(least, least)] + ([(math.sqrt(least * largest),) * 2] if largest else [])
            sizes += [(least * math.sqrt(r), least / math.sqrt(r)) for r in ratios]
            for w, h in sizes:
                boxes += [
                    (x - w / 2) / image[1],
                    (y - h / 2) / image[0],
                    (x + w / 2) / image[1],
                    (y + h / 2) / image[0],
                ]
    boxes = np.array(boxes)
    return np.stack([boxes.clip(0, 1) if clip else boxes, np.tile(variances, len(boxes) // 4)])[None]


def test_every_position_has_its_boxes():
    text = (
        "prior_box_param { min_size: 8 max_size: 15 aspect_ratio: 2 aspect_ratio: 2 variance: 0.1 variance: 0.1 "
        "variance: 0.2 variance: 0.2 clip: true }"
    )
    net = one_layer_net("PriorBox", text, [(1, 3, 2, 3), (1, 3, 24, 32)], force=False)
    expected = priors(2, 3, (24, 32), 8, 15, [2, 0.5], [0.1, 0.1, 0.2, 0.2], True)
    assert_close(run(net, []).tops[0], expected, "boxes")


def test_one_variance_no_flip_and_truncated_sizes():
    text = "prior_box_param { min_size: 8.9 aspect_ratio: 3 flip: false img_size: 40 variance: 0.3 }"
    net = one_layer_net("PriorBox", text, [(1, 3, 2, 2)], force=False)
    assert_close(run(net, []).tops[0], priors(2, 2, (40, 40), 8, None, [3], [0.3] * 4, False), "boxes")


def test_explicit_step():
    net = one_layer_net(
        "PriorBox", "prior_box_param { min_size: 4 step: 10 }", [(1, 3, 1, 2), (1, 3, 40, 40)], force=False
    )
    boxes = run(net, []).tops[0][0, 0].reshape(2, 4)
    assert_close(boxes, np.array([[3, 3, 7, 7], [13, 3, 17, 7]]) / 40, "boxes")


def test_invalid_parameters_raise():
    assert "max_size must be larger" in build_error(
        "PriorBox", "prior_box_param { min_size: 8 max_size: 7 }", [(1, 3, 2, 2)] * 2
    )
    assert "img_size" in build_error("PriorBox", "prior_box_param { min_size: 8 }", [(1, 3, 2, 2)])


def test_faceboxes_has_groups_of_small_boxes():
    """4 x 4 boxes of 32 pixels 8 apart, 2 x 2 of 64 pixels 16 apart, one of 128; sides are one pixel shorter."""
    text = "prior_box_param { min_size: 32 min_size: 64 min_size: 128 faceboxes: true step: 32 }"
    net = one_layer_net("PriorBox", text, [(1, 3, 1, 2), (1, 3, 128, 256)], force=False)
    expected = []
    for column in (16, 48):
        groups = [(32, -16 + 8 * i, -16 + 8 * j) for i in range(4) for j in range(4)]
        groups += [(64, -16 + 16 * i, -16 + 16 * j) for i in range(2) for j in range(2)] + [(128, 0, 0)]
        for size, dy, dx in groups:
            x, y, half = column + dx, 16 + dy, (size - 1) / 2
            expected += [(x - half) / 256, (y - half) / 128, (x + half) / 256, (y + half) / 128]
    assert_close(run(net, []).tops[0][0, 0], np.array(expected), "boxes")


def test_textboxes_repeats_every_box_half_a_step_below():
    text = "prior_box_param { min_size: 8 aspect_ratio: 2 flip: false textboxes: true }"
    net = one_layer_net("PriorBox", text, [(1, 3, 2, 1), (1, 3, 40, 20)], force=False)
    expected = []
    for row in (10, 30):
        for width, height in ((8, 8), (8 * math.sqrt(2), 8 / math.sqrt(2))):
            for y in (row, row + 10):
                expected += [(10 - width / 2) / 20, (y - height / 2) / 40, (10 + width / 2) / 20, (y + height / 2) / 40]
    assert_close(run(net, []).tops[0][0, 0], np.array(expected), "boxes")


def test_denser_prior_boxes_repeat_every_box_at_the_end_of_the_position():
    text = "prior_box_param { min_size: 8 aspect_ratio: 2 flip: false offset: 0.25 denser_prior_boxes: true }"
    net = one_layer_net("PriorBox", text, [(1, 3, 2, 1), (1, 3, 40, 20)], force=False)
    expected = []
    for row in (0, 20):
        for width, height in ((8, 8), (8 * math.sqrt(2), 8 / math.sqrt(2))):
            for y in (row + 5, row + 20):
                expected += [(5 - width / 2) / 20, (y - height / 2) / 40, (5 + width / 2) / 20, (y + height / 2) / 40]
    assert_close(run(net, []).tops[0][0, 0], np.array(expected), "boxes")


def dense(rows, columns, image, sizes, densities, ratios):
    """Boxes of fixed_size one by one, clipped to the image."""
    found = []
    for i, j in np.ndindex(rows, columns):
        x, y = (j + 0.5) * image[1] / columns, (i + 0.5) * image[0] / rows
        for size, count in zip(sizes, densities):
            shift = size // count
            for ratio in ratios:
                half_width, half_height = size * math.sqrt(ratio) / 2, size / math.sqrt(ratio) / 2
                for row, column in np.ndindex(count, count):
                    left = x - size // 2 + shift / 2 + column * shift
                    upper = y - size // 2 + shift / 2 + row * shift
                    found += [
                        max(0, (left - half_width) / image[1]),
                        max(0, (upper - half_height) / image[0]),
                        min(1, (left + half_width) / image[1]),
                        min(1, (upper + half_height) / image[0]),
                    ]
    return np.array(found)


def test_dense_boxes_of_fixed_sizes():
    for text, ratios in (
        ("", [1]),
        ("fixed_ratio: 1 fixed_ratio: 0.5", [1, 0.5]),
        ("aspect_ratio: 2", [1, 2, 0.5]),
    ):
        net = one_layer_net(
            "PriorBox",
            f"prior_box_param {{ fixed_size: 9 fixed_size: 20 density: 4 density: 3 {text} }}",
            [(1, 3, 2, 3), (1, 3, 24, 32)],
            force=False,
        )
        expected = dense(2, 3, (24, 32), [9, 20], [4, 3], ratios)
        assert_close(run(net, []).tops[0][0, 0], expected, "boxes")


def test_dense_boxes_come_before_the_others():
    text = "prior_box_param { fixed_size: 8 density: 2 min_size: 6 }"
    net = one_layer_net("PriorBox", text, [(1, 3, 1, 1), (1, 3, 24, 24)], force=False)
    boxes = run(net, []).tops[0][0, 0].reshape(-1, 4) * 24
    assert_close(boxes[:4].ravel(), dense(1, 1, (24, 24), [8], [2], [1]) * 24, "dense")
    assert_close(boxes[4], np.array([9, 9, 15, 15]), "last")


def test_every_fixed_size_needs_a_density():
    message = build_error("PriorBox", "prior_box_param { fixed_size: 8 }", [(1, 3, 1, 1), (1, 3, 24, 24)])
    assert "a positive density for each positive fixed_size" in message
