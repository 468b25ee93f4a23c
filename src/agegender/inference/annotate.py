"""Answers drawn into copies of pictures, and the files such pictures go to; nets are fed what nobody has drawn on."""

from __future__ import annotations

import os

import cv2
import numpy as np

from agegender.errors import AgeGenderError
from agegender.inference import output_formats, predict
from caffe.utils.atomic_io import atomic_write

COLOUR = (255, 128, 0)  # blue first: the ONNX zoo's scripts' own
INK = (255, 255, 255)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def annotated(prediction):
    """An aligned face, at least 240 pixels wide, over a strip with a line an answer."""
    picture = predict.read_image(prediction.path)
    scale = max(1.0, 240 / picture.shape[1])
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    strip = np.full((14 + 22 * len(prediction.answers), picture.shape[1], 3), 32, np.uint8)
    for row, answer in enumerate(prediction.answers.values()):
        text = f"{answer.text}  {100 * answer.probability:.1f}%"
        cv2.putText(strip, text, (10, 22 + 22 * row), FONT, 0.55, INK, 1, cv2.LINE_AA)
    return np.vstack([picture, strip])


def of_photograph(path, told):
    """The photograph at `path` with the boxes and answers of its Predictions; numbered as printed where there are several."""
    labels = [", ".join(filter(None, output_formats.texts(prediction))) for prediction in told]
    if len(told) > 1:
        labels = ["%d: %s" % pair for pair in enumerate(labels)]
    return with_boxes(predict.read_image(path), [prediction.face for prediction in told], labels)


def with_boxes(picture, faces, labels):
    """A copy of `picture` (uint8 BGR) with a rectangle a Face and its label in a filled strip above it."""
    drawn = picture.copy()
    thick = max(2, round(max(picture.shape[:2]) / 400))
    for face in faces:
        cv2.rectangle(drawn, face.box[:2], face.box[2:], COLOUR, thick, cv2.LINE_AA)
    for face, label in zip(faces, labels):
        _label(drawn, face.box, label, thick)
    return drawn


def _label(drawn, box, text, thick):
    """`text` above the box, or inside of it where the picture ends, as wide as the box where that can be read."""
    scale = _scale(text, box[2] - box[0], drawn.shape[1])
    width, height = _strip_size(text, scale)
    left = max(0, min(box[0] - thick // 2, drawn.shape[1] - width))
    top = box[1] - height if box[1] >= height else max(0, box[1])
    _strip(drawn, text, left, top, scale)


def _scale(text, room, width):
    """A font scale at which the text fills `room` pixels, within what can be read and what the picture holds."""
    at_one = max(1, cv2.getTextSize(text, FONT, 1.0, 2)[0][0])
    least, most = max(0.4, width / 2400), max(0.5, width / 800)
    return min(max(least, room / at_one), most, max(0.3, (width - 8) / at_one))


def frames_per_second(drawn, rate):
    """Write the rate into the upper left corner of `drawn`."""
    _strip(drawn, f"{rate:.1f} frames/s", 0, 0, 0.5)


def _strip(drawn, text, left, top, scale):
    """White text on a filled strip."""
    width, height = _strip_size(text, scale)
    weight = max(1, round(1.6 * scale))
    down = cv2.getTextSize(text, FONT, scale, weight)[1]
    cv2.rectangle(drawn, (left, top), (left + width, top + height), COLOUR, cv2.FILLED)
    cv2.putText(drawn, text, (left + 4, top + height - down - 3), FONT, scale, INK, weight, cv2.LINE_AA)


def _strip_size(text, scale):
    (across, up), down = cv2.getTextSize(text, FONT, scale, max(1, round(1.6 * scale)))
    return across + 8, up + down + 6


def write_all(target, pictures):
    """Write drawn pictures, given as (path it was read from, function that draws it).

    `target` is a file or, where there are several, a folder: names are kept, with their folders where two are equal.
    """
    names = predict.short_names([source for source, _ in pictures])
    for (source, drawn), name in zip(pictures, names):
        path = target if len(pictures) == 1 else os.path.join(target, name)
        write(path, drawn(), source)


def write(path, picture, source=""):
    """Write a picture file, whole or not at all, and never over `source`, which it was made from. Raises AgeGenderError."""
    suffix = os.path.splitext(path)[1].lower()
    if not suffix or not cv2.haveImageWriter("x" + suffix):
        raise AgeGenderError(f"{path}: a drawn picture's name must end in .png or .jpg")
    if source and os.path.exists(path) and os.path.samefile(path, source):
        raise AgeGenderError(f"{path}: this would replace the picture itself; write it elsewhere")
    with atomic_write(path) as temporary, open(temporary, "wb") as stream:
        stream.write(cv2.imencode(suffix, picture)[1].tobytes())
