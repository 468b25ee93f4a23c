"""Evaluates nets for detection (mean average precision) and segmentation (mean intersection over union)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from agegender.inference.objects import ObjectPredictor
from caffe.errors import CaffeError

_NET = """layer {{ name: "found" type: "Input" top: "found" input_param {{ shape {{ dim: [1, 1, 1, 7] }} }} }}
layer {{ name: "truth" type: "Input" top: "truth" input_param {{ shape {{ dim: [1, 1, 1, 8] }} }} }}
layer {{ name: "rows" type: "DetectionEvaluate" bottom: "found" bottom: "truth" top: "rows" detection_evaluate_param {{
num_classes: {classes} background_label_id: 0 overlap_threshold: {overlap} evaluate_difficult_gt: false }} }}"""


def average_precisions(
    predictor: ObjectPredictor, source: str, backend: str = "lmdb", overlap: float = 0.5, version: str = "MaxIntegral"
) -> tuple[dict[int, float], dict[int, int], int]:
    """Evaluate detections on a database that convert_annoset made.

    Parameters
    ----------
    predictor : ObjectPredictor
    source : str
        A database of AnnotatedDatums; the label 0 is the background.
    backend : {"lmdb", "leveldb"}
    overlap : float
        The intersection over union that a right detection has with its box.
    version : {"MaxIntegral", "11point", "Integral"}
        See `caffe.data.boxes.average_precision.average_precision`.

    Returns
    -------
    dict of int to float, dict of int to int, int
        Average precision and number of boxes (without difficult ones) by label, and the number of images.
    """
    from caffe.data.boxes.average_precision import DetectionScores

    net = _evaluating_net(len(predictor.labels), overlap)
    scores, images = DetectionScores(), 0
    for image, boxes in _records(source, backend):
        found = predictor.detections(image)
        truth = np.concatenate([np.zeros((len(boxes), 1), np.float32), boxes], axis=1)
        for name, rows, width in (("found", found, 7), ("truth", truth, 8)):
            rows = rows if len(rows) else np.full((1, width), -1, np.float32)
            net.blobs[name].reshape(1, 1, *rows.shape)
            net.blobs[name].data[0, 0] = rows
        scores.add(net.forward()["rows"][0, 0])
        images += 1
    if not images:
        raise CaffeError(f"{source}: expected at least one record")
    return scores.by_label(version), dict(scores.positives), images


def _evaluating_net(classes, overlap):
    from caffe.net.net import Net
    from caffe.proto import caffe_pb2
    from caffe.proto.read import read_net_text

    return Net.from_param(read_net_text(_NET.format(classes=classes, overlap=overlap)).param, caffe_pb2.TEST)


def _records(source: str, backend: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield image (H, W, 3) and boxes (n, 7) of each record once."""
    from caffe.data.boxes import record
    from caffe.data.db import open_db

    with open_db(source, backend) as database:
        records = database.at(0)
        for _ in range(len(database)):
            key, value = next(records)
            try:
                planes, boxes = record.decode(value, force_color=True)
            except CaffeError as error:
                name = key.decode("utf-8", "replace")
                raise CaffeError(f"database '{source}', record '{name}': {error}") from None
            yield np.ascontiguousarray(planes.transpose(1, 2, 0)), boxes


def confusion_of_pixels(predictor: ObjectPredictor, source: str, ignore: int = 255) -> np.ndarray:
    """Return the confusion matrix of the pixels of labelled images (rows: true classes, columns: predictions).

    Parameters
    ----------
    predictor : ObjectPredictor
        Of a net for segmentation.
    source : str
        A text file with one `image label` per line: two image files relative to the folder of the list, the second with
        the class of each pixel.
    ignore : int
        The class of pixels that do not count.
    """
    from agegender.inference.image_files import read_image

    classes = len(predictor.labels)
    counts = np.zeros((classes, classes), np.int64)
    folder = os.path.dirname(source)
    for number, image, label in _pairs(source):
        truth = cv2.imread(os.path.join(folder, label), cv2.IMREAD_UNCHANGED)
        if truth is None or truth.ndim != 2:
            raise CaffeError(f"{source}:{number}: {label}: expected an image with one channel of classes")
        predicted = predictor.predict_array(read_image(os.path.join(folder, image))).mask
        if predicted.shape != truth.shape:
            raise CaffeError(f"{source}:{number}: {label} is {truth.shape}, the image is {predicted.shape}")
        counted = truth != ignore
        if (truth[counted] >= classes).any():
            raise CaffeError(f"{source}:{number}: {label}: class {truth[counted].max()} is outside 0 .. {classes - 1}")
        np.add.at(counts, (truth[counted].astype(int), predicted[counted]), 1)
    return counts


def _pairs(source: str) -> Iterator[tuple[int, str, str]]:
    from caffe.utils import input_file

    lines = input_file.read_text(source).splitlines()
    rows = [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise CaffeError(f"{source}: the list is empty; expected lines `image label`")
    for number, words in rows:
        if len(words) != 2:
            raise CaffeError(f"{source}:{number}: expected `image label`, received '{' '.join(words)}'")
        yield number, words[0], words[1]


def intersection_over_union(counts: np.ndarray) -> np.ndarray:
    """Return the intersection over union of each class of a confusion matrix; NaN for a class without pixels."""
    right = np.diag(counts).astype(float)
    union = counts.sum(0) + counts.sum(1) - right
    found: Any = np.divide(right, union, out=np.full(len(counts), np.nan), where=union > 0)
    return found
