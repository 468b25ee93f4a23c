"""DetectionOutput: decode the boxes of SSD from locations, confidences and priors."""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.stages import stage

NAMES = [
    "classes",
    "share_location",
    "background",
    "nms",
    "top_k",
    "code",
    "keep_top_k",
    "confidence",
    "in_target",
    "priors",
    "clip_before",
    "clip_after",
    "decrease_label",
    "width",
    "height",
    "normalized",
    "num",
    "objectness",
    "with_arm",
]
CORNER, CENTER_SIZE, CORNER_SIZE = 1, 2, 3


@stage("DetectionOutput")
def detection_output(call: Call) -> None:
    """Detect boxes. Tensors: locations, confidences, priors, (two more for refinement,) output, work memory.

    The rows of the output are (image, label, confidence, x0, y0, x1, y1); a row with image -1 ends the list.
    """
    params = dict(zip(NAMES, call.params("iiifiiifiiiiiiiiifi")))
    if params["with_arm"] or not params["normalized"] or params["in_target"]:
        raise call.error("refinement, coordinates in pixels and variances in the target are not supported")
    priors, classes, number = params["priors"], params["classes"], params["num"]
    location_classes = 1 if params["share_location"] else classes
    locations = call.read(0).reshape(number, priors, location_classes, 4)
    confidences = call.read(1).reshape(number, priors, classes)
    boxes, variances = call.read(2).reshape(2, priors, 4)
    rows = []
    for image in range(number):
        decoded = _decode(locations[image], boxes, variances, params)
        rows += [(image, *row) for row in _detect(decoded, confidences[image], params)]
    target = call.tensor(3)
    result = np.zeros((int(np.prod(target.dims)) // 7, 7), np.float32)
    result[: len(rows)] = rows or np.zeros((0, 7))
    if len(rows) < len(result):
        result[len(rows), 0] = -1
    call.write(3, result.reshape(target.dims))


def _decode(locations: np.ndarray, priors: np.ndarray, variances: np.ndarray, params: dict) -> np.ndarray:
    """Decode locations to boxes (x0, y0, x1, y1) of shape (priors, classes, 4)."""
    prior, variance = priors[:, None], variances[:, None]
    shift = locations * variance
    low, high = prior[..., :2], prior[..., 2:]
    if params["code"] == CORNER:
        boxes = prior + shift
    elif params["code"] == CORNER_SIZE:
        boxes = prior + shift * np.concatenate([high - low, high - low], -1)
    else:
        size = high - low
        center = (low + high) / 2 + shift[..., :2] * size
        half = size * np.exp(shift[..., 2:]) / 2
        boxes = np.concatenate([center - half, center + half], -1)
    return np.clip(boxes, 0, 1) if params["clip_before"] or params["clip_after"] else boxes


def _detect(boxes: np.ndarray, confidences: np.ndarray, params: dict) -> list:
    """Return the rows of one image: the best `keep_top_k` after suppression per class, ordered by class."""
    detections = []
    for label in range(params["classes"]):
        if label == params["background"]:
            continue
        class_boxes = boxes[:, 0 if params["share_location"] else label]
        for index in _suppress(class_boxes, confidences[:, label], params):
            detections.append((label - bool(params["decrease_label"]), confidences[index, label], *class_boxes[index]))
    if 0 <= params["keep_top_k"] < len(detections):
        order = np.argsort([-row[1] for row in detections], kind="stable")[: params["keep_top_k"]]
        detections = [detections[index] for index in sorted(order)]
    return detections


def _suppress(boxes: np.ndarray, scores: np.ndarray, params: dict) -> list:
    """Return the indices after non-maximum suppression, best first."""
    order = [i for i in np.argsort(-scores, kind="stable") if scores[i] > params["confidence"]]
    order = order[: params["top_k"]] if params["top_k"] >= 0 else order
    selected: list = []
    for index in order:
        if all(_overlap(boxes[index], boxes[other]) <= params["nms"] for other in selected):
            selected.append(index)
    return selected


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    if (high <= low).any():
        return 0.0
    inside = np.prod(high - low)
    areas = [np.prod(np.maximum(box[2:] - box[:2], 0)) for box in (one, other)]
    return float(inside / max(sum(areas) - inside, 1e-12))
