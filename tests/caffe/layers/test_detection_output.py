"""DetectionOutput compared with SSD's description, box by box."""

import numpy as np
import pytest
from support.reference import assert_close, build_error, one_layer_net, run


def decoded(offset, prior, variance, code):
    w, h = prior[2] - prior[0], prior[3] - prior[1]
    if code == "CORNER":
        return [p + v * o for p, v, o in zip(prior, variance, offset)]
    if code == "CORNER_SIZE":
        return [p + v * o * s for p, v, o, s in zip(prior, variance, offset, (w, h, w, h))]
    x = (prior[0] + prior[2]) / 2 + variance[0] * offset[0] * w
    y = (prior[1] + prior[3]) / 2 + variance[1] * offset[1] * h
    w, h = w * np.exp(variance[2] * offset[2]), h * np.exp(variance[3] * offset[3])
    return [x - w / 2, y - h / 2, x + w / 2, y + h / 2]


def jaccard(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0
    areas = [max(0, c[2] - c[0]) * max(0, c[3] - c[1]) for c in (a, b)]
    return width * height / (sum(areas) - width * height)


def detections(offsets, scores, priors, classes, code, least, top_k, threshold, keep):
    rows = []
    for item in range(len(offsets)):
        boxes = [
            decoded(offsets[item, 4 * p : 4 * p + 4], *priors[0, :, 4 * p : 4 * p + 4], code)
            for p in range(priors.shape[2] // 4)
        ]
        found = []
        for c in range(1, classes):
            values = [(scores[item, p * classes + c], p) for p in range(len(boxes))]
            order = sorted((v for v in values if v[0] > least), key=lambda v: -v[0])[:top_k]
            kept = []
            for score, p in order:
                if all(jaccard(boxes[p], boxes[q]) <= threshold for _, q in kept):
                    kept.append((score, p))
            found += [(c, score, p) for score, p in kept]
        best = sorted(found, key=lambda f: -f[1])[:keep]
        rows += [[item, c, score, *boxes[p]] for c, score, p in found if (c, score, p) in best]
    return np.array(rows)[None, None]


def numbers(items, priors, classes, seed=16):
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 0.6, (priors, 2))
    corners = np.concatenate([low, low + rng.uniform(0.1, 0.4, (priors, 2))], axis=1)
    boxes = np.stack([corners.ravel(), np.tile([0.1, 0.1, 0.2, 0.2], priors)])[None]
    return [rng.standard_normal((items, 4 * priors)), rng.uniform(0, 1, (items, priors * classes)), boxes]


@pytest.mark.parametrize("code", ["CORNER", "CENTER_SIZE", "CORNER_SIZE"])
@pytest.mark.parametrize("items", [1, 2])
def test_matches_the_description(code, items):
    arrays = numbers(items, 12, 3)
    text = (
        f"detection_output_param {{ num_classes: 3 keep_top_k: 7 confidence_threshold: 0.3 code_type: {code} "
        "nms_param { nms_threshold: 0.4 top_k: 8 } }"
    )
    net = one_layer_net("DetectionOutput", text, [a.shape for a in arrays], force=False)
    expected = detections(*arrays, 3, code, 0.3, 8, 0.4, 7)
    assert expected.shape[2] == 7 * items
    assert_close(run(net, arrays).tops[0], expected, "rows")


def test_one_row_per_item_without_detections():
    arrays = numbers(2, 3, 2)
    text = "detection_output_param { num_classes: 2 confidence_threshold: 2 }"
    net = one_layer_net("DetectionOutput", text, [a.shape for a in arrays], force=False)
    assert run(net, arrays).tops[0].tolist() == [[[[0, *[-1] * 6], [1, *[-1] * 6]]]]


def test_variances_may_be_in_the_offsets_and_offsets_of_each_class():
    offsets, scores, priors = numbers(1, 5, 2)
    scaled = offsets * np.tile([0.1, 0.1, 0.2, 0.2], 5)
    twice = np.concatenate([np.zeros((5, 4)), scaled.reshape(5, 4)], axis=1).reshape(1, -1)
    plain = "detection_output_param { num_classes: 2 code_type: CENTER_SIZE }"
    other = plain.replace(" }", " variance_encoded_in_target: true share_location: false }")
    expected = run(
        one_layer_net("DetectionOutput", plain, [a.shape for a in (offsets, scores, priors)], force=False),
        [offsets, scores, priors],
    )
    net = one_layer_net("DetectionOutput", other, [a.shape for a in (twice, scores, priors)], force=False)
    assert_close(run(net, [twice, scores, priors]).tops[0], expected.tops[0], "rows")


def test_refinedets_arm_adjusts_and_removes_priors():
    offsets, scores, priors = numbers(1, 6, 2)
    rng = np.random.default_rng(17)
    arm_scores, arm_offsets = rng.uniform(0, 1, (1, 12)), rng.standard_normal((1, 24))
    text = (
        "detection_output_param { num_classes: 2 code_type: CENTER_SIZE objectness_score: 0.5 "
        "confidence_threshold: 0.01 }"
    )
    arrays = [offsets, scores, priors, arm_scores, arm_offsets]
    received = run(one_layer_net("DetectionOutput", text, [a.shape for a in arrays], force=False), arrays).tops[0]
    moved = priors.copy()
    for p in range(6):
        here = slice(4 * p, 4 * p + 4)
        moved[0, 0, here] = decoded(arm_offsets[0, here], priors[0, 0, here], priors[0, 1, here], "CENTER_SIZE")
    heard = scores.reshape(6, 2) * (arm_scores.reshape(6, 2)[:, 1:] >= 0.5)
    expected = detections(offsets, heard.reshape(1, -1), moved, 2, "CENTER_SIZE", 0.01, 99, 0.3, 99)
    assert_close(received, expected, "rows")


def test_a_fourth_bottom_is_the_image_to_draw_on():
    arrays = [*numbers(1, 5, 2), np.zeros((1, 3, 4, 4))]
    text = "detection_output_param { num_classes: 2 confidence_threshold: 0.1 }"
    three, four = (
        run(one_layer_net("DetectionOutput", text, [a.shape for a in some], force=False), some).tops[0]
        for some in (arrays[:3], arrays)
    )
    assert np.array_equal(three, four)


def test_sizes_must_match():
    text = "detection_output_param { num_classes: 2 }"
    assert "3 prior boxes need 12 offsets" in build_error("DetectionOutput", text, [(1, 16), (1, 6), (1, 2, 12)])


def test_priors_in_pixels():
    """normalized: false: rows (item, corners) in pixels give the same detections as fractions of the image."""
    offsets, scores, priors = numbers(1, 6, 2)
    plain = "detection_output_param { num_classes: 2 code_type: CENTER_SIZE variance_encoded_in_target: true }"
    other = plain.replace(" }", " normalized: false input_width: 40 input_height: 20 }")
    rois = np.concatenate([np.zeros((6, 1)), priors[0, 0].reshape(6, 4) * [40, 20, 40, 20]], axis=1).reshape(1, -1)
    received = [
        run(one_layer_net("DetectionOutput", text, [a.shape for a in arrays], force=False), arrays).tops[0]
        for text, arrays in ((plain, (offsets, scores, priors)), (other, (offsets, scores, rois)))
    ]
    assert received[0].shape[2] > 2
    assert_close(received[1], received[0], "rows")


def test_yolos_rows_have_centers_and_sizes():
    """caffe-yolov2: the rows of YoloDetectionOutput with labels from 0, centers and sizes."""
    bottom = 2 * np.random.default_rng(4).standard_normal((1, 16, 3, 3))
    fields = "num_classes: 3 num_box: 2 biases: [0.7, 0.9, 2.4, 2.6] confidence_threshold: 0.3"
    texts = {"YoloDetectionOutput": "yolo_detection_output_param", "DetectionOutput": "detection_output_param"}
    corners, centers = (
        run(one_layer_net(name, f"{param} {{ {fields} }}", [bottom.shape], force=False), [bottom]).tops[0][0, 0]
        for name, param in texts.items()
    )
    assert len(corners) > 2
    assert_close(centers[:, 1:3], corners[:, 1:3] - [1, 0], "label and score")
    assert_close(centers[:, 3:5], (corners[:, 3:5] + corners[:, 5:]) / 2, "centers")
    assert_close(centers[:, 5:], corners[:, 5:] - corners[:, 3:5], "sizes")
