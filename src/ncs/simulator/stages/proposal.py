"""Proposal: the regions of a region proposal network (Faster R-CNN), as in OpenVINO's Proposal operation."""

from __future__ import annotations

import numpy as np

from ncs.simulator.call import Call
from ncs.simulator.stages import stage

NAMES = [
    "feat_stride",
    "base_size",
    "min_size",
    "pre_nms",
    "post_nms",
    "nms",
    "pre_threshold",
    "box_size_scale",
    "box_coordinate_scale",
    "offset",
    "initial_clip",
    "clip_before",
    "clip_after",
    "normalize",
    "shift_anchors",
    "round_ratios",
    "swap_xy",
]


@stage("Proposal")
def proposal(call: Call) -> None:
    """Propose regions. Tensors: scores, output, output scores, box deltas, image size (height, width, scale …)."""
    params = dict(zip(NAMES, call.params("IIIii" + "fffff" + "IIIIIII")))
    scales, ratios = ([call.param("f") for _ in range(call.param("I"))] for _ in range(2))
    scores, deltas, size = call.image(0)[0], call.image(3)[0], call.read(4).reshape(-1)
    if params["shift_anchors"] or params["swap_xy"]:
        raise call.error("anchors in TensorFlow's form are not supported")
    anchors = _anchors(params, scales, ratios)
    scores = scores[len(anchors) :].transpose(1, 2, 0)
    boxes, sizes = _boxes(anchors, deltas, scores.shape, params)
    limit = [size[1] - params["offset"], size[0] - params["offset"]] * 2
    if params["clip_before"]:
        boxes = np.clip(boxes, 0, limit)
        sizes = boxes[:, 2:] - boxes[:, :2] + params["offset"]
    min_size = params["min_size"] * (size[2] if len(size) > 2 else 1)
    scores = np.where((sizes >= min_size).all(1), scores.reshape(-1), 0)
    _store(call, boxes, scores, limit, size, params)


def _anchors(params: dict, scales: list, ratios: list) -> np.ndarray:
    """Return the anchors (ratios · scales, 4), like generate_anchors of py-faster-rcnn."""
    base, rows = params["base_size"], []
    center = (base - params["offset"]) / 2
    for ratio in ratios:
        width = np.sqrt(base * base / ratio)
        width = np.floor(width + 0.5) if params["round_ratios"] else width
        height = np.floor(width * ratio + 0.5) if params["round_ratios"] else width * ratio
        for scale in scales:
            half = np.array([width * scale - params["offset"], height * scale - params["offset"]]) / 2
            rows.append([center - half[0], center - half[1], center + half[0], center + half[1]])
    return np.array(rows, np.float32)


def _boxes(anchors: np.ndarray, deltas: np.ndarray, shape: tuple, params: dict) -> tuple:
    """Return (boxes, sizes) with positions outermost and anchors innermost."""
    height, width, count = shape
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    shift = np.stack([x, y, x, y], -1)[:, :, None] * np.float32(params["feat_stride"])
    shifted = (anchors + shift).reshape(-1, 4)
    moves = deltas.reshape(count, 4, height, width).transpose(2, 3, 0, 1).reshape(-1, 4)
    size = shifted[:, 2:] - shifted[:, :2] + params["offset"]
    center = shifted[:, :2] + size / 2 + moves[:, :2] / params["box_coordinate_scale"] * size
    size = np.exp(moves[:, 2:] / params["box_size_scale"]) * size
    return np.concatenate([center - size / 2, center + size / 2], 1), size


def _store(call: Call, boxes: np.ndarray, scores: np.ndarray, limit: list, size: np.ndarray, params: dict) -> None:
    order = np.argsort(-scores, kind="stable")
    order = order[: params["pre_nms"]] if params["pre_nms"] > 0 else order
    indices: list = []
    for index in order:
        if len(indices) == params["post_nms"]:
            break
        if all(_overlap(boxes[index], boxes[other], params["offset"]) <= params["nms"] for other in indices):
            indices.append(index)
    rois = np.clip(boxes[indices], 0, limit) if params["clip_after"] else boxes[indices]
    if params["normalize"]:
        rois = rois / [size[1], size[0], size[1], size[0]]
    target = call.tensor(1)
    rows = np.zeros((target.dims[0], 5), np.float32)
    rows[: len(indices), 1:] = rois
    if len(indices) < len(rows):
        rows[len(indices), 0] = -1
    call.write(1, rows.reshape(target.dims))
    if call.has(2):
        result = np.zeros(target.dims[0], np.float32)
        result[: len(indices)] = scores[indices]
        call.write(2, result.reshape(call.tensor(2).dims))


def _overlap(one: np.ndarray, other: np.ndarray, offset: float) -> float:
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    sides = np.maximum(high - low + offset, 0)
    inside = sides[0] * sides[1]
    areas = [np.prod(box[2:] - box[:2] + offset) for box in (one, other)]
    return float(inside / (sum(areas) - inside))
