"""Draw predictions into copies of images and write them to files."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np

from agegender.errors import AgeGenderError
from agegender.inference import output_formats, predict
from caffe.utils.atomic_io import atomic_write

if TYPE_CHECKING:
    from agegender.inference import detect

COLOR = (255, 128, 0)  # BGR, as in the scripts of the ONNX model zoo
TEXT_COLOR = (255, 255, 255)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def annotated(prediction: predict.Prediction) -> np.ndarray:
    """An aligned face, enlarged to at least 240 pixels in width, above a strip with one line per answer."""
    image = predict.read_image(prediction.path)
    scale = max(1.0, 240 / image.shape[1])
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    strip = np.full((14 + 22 * len(prediction.answers), image.shape[1], 3), 32, np.uint8)
    for row, answer in enumerate(prediction.answers.values()):
        text = f"{answer.text}  {100 * answer.probability:.1f}%"
        cv2.putText(strip, text, (10, 22 + 22 * row), FONT, 0.55, TEXT_COLOR, 1, cv2.LINE_AA)
    return np.vstack([image, strip])


def of_photograph(path: str, predictions: list[predict.Prediction]) -> np.ndarray:
    """The photograph at `path` with the boxes and answers of its faces, numbered if there are several."""
    labels = [", ".join(filter(None, output_formats.texts(prediction))) for prediction in predictions]
    if len(predictions) > 1:
        labels = [f"{index}: {label}" for index, label in enumerate(labels)]
    return with_boxes(predict.read_image(path), [prediction.face for prediction in predictions], labels)


def with_boxes(image: np.ndarray, faces: list[detect.Face], labels: list[str]) -> np.ndarray:
    """Draw the boxes of faces and their labels into a copy of an image.

    Parameters
    ----------
    image : uint8 array of shape (H, W, 3), BGR
    faces : list of Face
    labels : list of str
        One label per face, drawn in a filled strip above its box.

    Returns
    -------
    uint8 array of shape (H, W, 3), BGR
    """
    canvas = image.copy()
    thickness = max(2, round(max(image.shape[:2]) / 400))
    for face in faces:
        cv2.rectangle(canvas, face.box[:2], face.box[2:], COLOR, thickness, cv2.LINE_AA)
    for face, label in zip(faces, labels):
        _draw_label(canvas, face.box, label, thickness)
    return canvas


def _draw_label(canvas, box, text, thickness):
    """Draw `text` above the box, or inside it at the top of the image, as wide as the box if that is readable."""
    scale = _font_scale(text, box[2] - box[0], canvas.shape[1])
    width, height = _strip_size(text, scale)
    left = max(0, min(box[0] - thickness // 2, canvas.shape[1] - width))
    top = box[1] - height if box[1] >= height else max(0, box[1])
    _draw_strip(canvas, text, left, top, scale)


def _font_scale(text, text_width, image_width):
    """Font scale at which the text is `text_width` pixels wide, limited to what is readable and fits in the image."""
    width_at_one = max(1, cv2.getTextSize(text, FONT, 1.0, 2)[0][0])
    low, high = max(0.4, image_width / 2400), max(0.5, image_width / 800)
    return min(max(low, text_width / width_at_one), high, max(0.3, (image_width - 8) / width_at_one))


def frames_per_second(canvas: np.ndarray, rate: float) -> None:
    """Draw the frame rate into the upper left corner of `canvas`."""
    _draw_strip(canvas, f"{rate:.1f} frames/s", 0, 0, 0.5)


def _draw_strip(canvas, text, left, top, scale):
    """Draw white text on a filled strip."""
    width, height = _strip_size(text, scale)
    weight = max(1, round(1.6 * scale))
    baseline = cv2.getTextSize(text, FONT, scale, weight)[1]
    cv2.rectangle(canvas, (left, top), (left + width, top + height), COLOR, cv2.FILLED)
    cv2.putText(canvas, text, (left + 4, top + height - baseline - 3), FONT, scale, TEXT_COLOR, weight, cv2.LINE_AA)


def _strip_size(text, scale):
    (width, height), baseline = cv2.getTextSize(text, FONT, scale, max(1, round(1.6 * scale)))
    return width + 8, height + baseline + 6


def write_all(target: str, images: list[tuple[str, Callable[[], np.ndarray]]]) -> None:
    """Write annotated images.

    Parameters
    ----------
    target : str
        A file, or a folder if there are several images. In a folder images keep their file names; equal names keep
        their subfolders too.
    images : list of (str, callable)
        Path of the source image, and a function that returns the annotated image.
    """
    names = predict.short_names([source for source, _ in images])
    for (source, draw), name in zip(images, names):
        path = target if len(images) == 1 else os.path.join(target, name)
        write(path, draw(), source)


def write(path: str, image: np.ndarray, source: str = "") -> None:
    """Write an image file atomically.

    Raises
    ------
    AgeGenderError
        If the suffix is not that of an image, or `path` is the `source` image itself.
    """
    suffix = os.path.splitext(path)[1].lower()
    if not suffix or not cv2.haveImageWriter("x" + suffix):
        raise AgeGenderError(f"{path}: the name of an image to write must end in .png or .jpg")
    if source and os.path.exists(path) and os.path.samefile(path, source):
        raise AgeGenderError(f"{path}: this would overwrite the source image; write to another path")
    with atomic_write(path) as temporary, open(temporary, "wb") as stream:
        stream.write(cv2.imencode(suffix, image)[1].tobytes())
