"""ONNX export of DetectionOutput: decoding, one NonMaxSuppression for all classes, and the rows of the detections."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.layers._boxes import CENTER_SIZE, CORNER
from caffe.layers._emit import one as _one
from caffe.layers._yolo import or_nothing

FLOAT, INT64 = 1, 7


def emit(layer: Any, g: Any, bottoms: list[str], tops: list[str]) -> None:
    """Emit the nodes of `layer` (DetectionOutput) into `g`."""
    items = g.shape(bottoms[0])[0]
    found = [_item(layer, g, bottoms, item, items) for item in range(items)]
    rows = found[0] if items == 1 else _one(g, "Concat", found, "all", axis=0)
    g.node("Reshape", [or_nothing(g, rows, items), g.constant([1, 1, -1, 7], "shape")], tops)


def _item(layer: Any, g: Any, bottoms: list[str], item: int, items: int) -> str:
    """Emit the rows of an item, n x 7."""
    p = layer.param.detection_output_param
    offsets, scores = bottoms[:2]
    if items > 1:
        offsets, scores = (
            _one(g, "Gather", [name, g.constant([item], f"item{item}")], "item", axis=0) for name in (offsets, scores)
        )
    boxes = _decoded(layer, g, offsets, bottoms[2])
    scores = _by_class(layer, g, scores)
    batch, picks = g.temp("batch"), g.temp("picks")
    g.node("Unsqueeze", [boxes], [batch], axes=[0])
    rows = g.temp("scores")
    g.node("Unsqueeze", [_top_k(layer, g, scores)], [rows], axes=[0])
    most = layer.top_k if layer.top_k > -1 else layer.count
    overlap = g.constant(np.array([p.nms_param.nms_threshold], np.float32), "overlap")
    least = g.constant(np.array([max(layer.least, -1e29)], np.float32), "least")
    g.node("NonMaxSuppression", [batch, rows, g.constant([most], "most"), overlap, least], [picks])
    where = g.temp("where")
    g.node("Gather", [picks, g.constant([1, 2], "class_and_box")], [where], axis=1)
    if p.keep_top_k > -1:
        where = _best(g, where, scores, p.keep_top_k)
    return _rows(layer, g, where, scores, boxes, item)


def _decoded(layer: Any, g: Any, offsets: str, priors: str) -> str:
    """Emit the decoded boxes, P x 4."""
    p = layer.param.detection_output_param
    moves = _one(g, "Reshape", [offsets, g.constant([-1, 4], "rows")], "moves")
    pairs = _one(g, "Reshape", [priors, g.constant([2, -1, 4], "pairs")], "pairs")
    corners, spread = (_one(g, "Gather", [pairs, g.constant(np.int64(i), "which")], "prior", axis=0) for i in (0, 1))
    if not p.variance_encoded_in_target:
        moves = _one(g, "Mul", [moves, spread], "scaled")
    if p.code_type == CORNER:
        return _one(g, "Add", [corners, moves], "boxes")
    low, high, first, second = (
        _one(g, "Gather", [source, g.constant(columns, "columns")], "half", axis=1)
        for source, columns in ((corners, [0, 1]), (corners, [2, 3]), (moves, [0, 1]), (moves, [2, 3]))
    )
    sizes = _one(g, "Sub", [high, low], "sizes")
    shift = _one(g, "Mul", [first, sizes], "shift")
    if p.code_type != CENTER_SIZE:
        ends = [
            _one(g, "Add", [low, shift], "low"),
            _one(g, "Add", [high, _one(g, "Mul", [second, sizes], "shift")], "high"),
        ]
        return _one(g, "Concat", ends, "boxes", axis=1)
    two = g.constant(np.float32(2), "two")
    middle = _one(g, "Add", [_one(g, "Div", [_one(g, "Add", [low, high], "sum"), two], "center"), shift], "middle")
    half = _one(g, "Div", [_one(g, "Mul", [_one(g, "Exp", [second], "growth"), sizes], "size"), two], "half")
    ends = [_one(g, op, [middle, half], "end") for op in ("Sub", "Add")]
    return _one(g, "Concat", ends, "boxes", axis=1)


def _by_class(layer: Any, g: Any, scores: str) -> str:
    """Emit the scores of all classes except the background, C x P."""
    p = layer.param.detection_output_param
    rows = _one(g, "Reshape", [scores, g.constant([-1, p.num_classes], "rows")], "rows")
    transposed = _one(g, "Transpose", [rows], "transposed", perm=[1, 0])
    return _one(g, "Gather", [transposed, g.constant(layer.classes, "classes")], "by_class", axis=0)


def _top_k(layer: Any, g: Any, scores: str) -> str:
    """Emit the scores, with those outside the top_k of each class replaced by a very small one."""
    if not -1 < layer.top_k < layer.count:
        return scores
    values, _ = g.temp("values"), None
    g.node("TopK", [scores, g.constant([layer.top_k], "top_k")], [values, g.temp("order")], axis=1)
    last = _one(g, "Slice", [values, *(g.constant([n], f"n{n}") for n in (layer.top_k - 1, layer.top_k, 1))], "last")
    below = _one(g, "Less", [scores, last], "below")
    return _one(g, "Where", [below, g.constant(np.float32(-1e30), "never"), scores], "kept")


def _best(g: Any, where: str, scores: str, keep: int) -> str:
    """Emit the rows of `where` (class, box) with the `keep` best scores, in their order."""
    values = _one(g, "GatherND", [scores, where], "values")
    count = _one(g, "Cast", [_one(g, "Shape", [values], "count")], "number", to=FLOAT)
    fewer = _one(g, "Min", [count, g.constant(np.array([keep], np.float32), "keep")], "fewer")
    number = _one(g, "Cast", [fewer], "most", to=INT64)
    order, sorted_ = g.temp("order"), g.temp("positions")
    g.node("TopK", [values, number], [g.temp("best"), order], axis=0)
    positions = _one(g, "Cast", [order], "numbers", to=FLOAT)
    g.node("TopK", [positions, number], [sorted_, g.temp("unused")], axis=0, largest=0)
    return _one(g, "Gather", [where, _one(g, "Cast", [sorted_], "indices", to=INT64)], "kept", axis=0)


def _rows(layer: Any, g: Any, where: str, scores: str, boxes: str, number: int) -> str:
    """Emit the rows (number, label, score, box), n x 7."""
    classes, positions = (
        _one(g, "Gather", [where, g.constant(np.int64(i), "column")], "column", axis=1) for i in (0, 1)
    )
    labels = g.constant(np.array(layer.classes, np.float32), "labels")
    label = _one(g, "Unsqueeze", [_one(g, "Gather", [labels, classes], "label", axis=0)], "label", axes=[1])
    score = _one(g, "Unsqueeze", [_one(g, "GatherND", [scores, where], "score")], "score", axes=[1])
    box = _one(g, "Gather", [boxes, positions], "box", axis=0)
    item = _one(g, "Mul", [label, g.constant(np.float32(0), "zero")], "item")
    item = _one(g, "Add", [item, g.constant(np.float32(number), "item")], "item") if number else item
    return _one(g, "Concat", [item, label, score, box], "rows", axis=1)
