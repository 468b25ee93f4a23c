"""Predictions drawn into copies of images, and the files of such images. Device side: Python 3.7."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from agegender.errors import AgeGenderError
from agegender.inference import output_formats
from agegender.inference.results import ImageResult, Prediction
from caffe.utils.atomic_io import atomic_write

COLOUR = (255, 128, 0)  # BGR; as the ONNX zoo's scripts draw
INK = (255, 255, 255)
FONT = cv2.FONT_HERSHEY_SIMPLEX
MIN_WIDTH = 240  # pixels of a drawn aligned face


def draw_result(result: ImageResult, detected: bool) -> np.ndarray:
    """Return a copy of the image with its predictions: boxes of detected faces, or a strip below an aligned face."""
    if not detected:
        return draw_aligned(result.image, result.predictions[0])
    labels = [", ".join(filter(None, output_formats.texts(prediction))) for prediction in result.predictions]
    if len(labels) > 1:
        labels = [f"{index}: {label}" for index, label in enumerate(labels)]
    return draw_boxes(result.image, [prediction.face for prediction in result.predictions], labels)


def draw_aligned(image: np.ndarray, prediction: Prediction) -> np.ndarray:
    """Return an aligned face, at least MIN_WIDTH pixels wide, above a strip with one line per output."""
    scale = max(1.0, MIN_WIDTH / image.shape[1])
    face = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    strip = np.full((14 + 22 * len(prediction.answers), face.shape[1], 3), 32, np.uint8)
    for row, output in enumerate(prediction.answers.values()):
        text = f"{output.text}  {100 * output.probability:.1f}%"
        cv2.putText(strip, text, (10, 22 + 22 * row), FONT, 0.55, INK, 1, cv2.LINE_AA)
    return np.vstack([face, strip])


def draw_boxes(image: np.ndarray, faces: Sequence[Any], labels: Sequence[str]) -> np.ndarray:
    """Return a copy of a BGR image with a rectangle per face and its label in a filled strip above it."""
    drawn = image.copy()
    thickness = max(2, round(max(image.shape[:2]) / 400))
    for face in faces:
        cv2.rectangle(drawn, face.box[:2], face.box[2:], COLOUR, thickness, cv2.LINE_AA)
    occupied: list = []
    for face, label in zip(faces, labels):
        _label(drawn, face.box, label, thickness, [other.box for other in faces if other is not face], occupied)
    return drawn


def _label(drawn: np.ndarray, box: Any, text: str, thickness: int, faces: Sequence[Any], occupied: list) -> None:
    """Write `text` above, below or inside the box, where it hides least of other faces and labels."""
    scale = _scale(text, box[2] - box[0], drawn.shape[1])
    width, height = _strip_size(text, scale)
    left = max(0, min(box[0] - thickness // 2, drawn.shape[1] - width))
    tops = [box[1] - height, box[3], max(0, box[1])]
    tops = [top for top in tops if 0 <= top <= drawn.shape[0] - height] or [
        max(0, min(box[1], drawn.shape[0] - height))
    ]
    strips = [(left, top, left + width, top + height) for top in tops]
    best = min(strips, key=lambda strip: sum(_overlap(strip, other) for other in [*faces, *occupied]))
    occupied.append(best)
    _strip(drawn, text, best[0], best[1], scale)


def _overlap(one: Any, other: Any) -> float:
    """Return the area that two boxes share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0, width) * max(0, height)


def _scale(text: str, room: float, width: int) -> float:
    """Return the font scale at which the text fills `room` pixels, but stays legible and inside the image."""
    at_one = max(1, cv2.getTextSize(text, FONT, 1.0, 2)[0][0])
    least, most = max(0.4, width / 2400), max(0.5, width / 800)
    return min(max(least, room / at_one), most, max(0.3, (width - 8) / at_one))


def draw_rate(drawn: np.ndarray, rate: float) -> None:
    """Write the frame rate into the upper left corner."""
    _strip(drawn, f"{rate:.1f} frames/s", 0, 0, 0.5)


def _strip(drawn: np.ndarray, text: str, left: int, top: int, scale: float) -> None:
    """Write white text on a filled strip."""
    width, height = _strip_size(text, scale)
    weight = max(1, round(1.6 * scale))
    down = cv2.getTextSize(text, FONT, scale, weight)[1]
    cv2.rectangle(drawn, (left, top), (left + width, top + height), COLOUR, cv2.FILLED)
    cv2.putText(drawn, text, (left + 4, top + height - down - 3), FONT, scale, INK, weight, cv2.LINE_AA)


def _strip_size(text: str, scale: float) -> Any:
    (across, up), down = cv2.getTextSize(text, FONT, scale, max(1, round(1.6 * scale)))
    return across + 8, up + down + 6


def write(path: str, image: np.ndarray, source: str = "") -> None:
    """Write an image file atomically.

    Raises
    ------
    AgeGenderError
        If OpenCV cannot write this suffix, or `path` is the file `source` that the image came from.
    """
    suffix = os.path.splitext(path)[1].lower()
    if not suffix or not cv2.haveImageWriter("x" + suffix):
        raise AgeGenderError(f"{path}: expected a name that ends in .png or .jpg")
    if source and os.path.exists(path) and os.path.samefile(path, source):
        raise AgeGenderError(f"{path}: this would replace the input image; choose another file")
    with atomic_write(path) as temporary, open(temporary, "wb") as stream:
        stream.write(cv2.imencode(suffix, image)[1].tobytes())
