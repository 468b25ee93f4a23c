"""Boxes and labels on a copy of a photograph; nets are fed the picture itself, never what was drawn on."""

from __future__ import annotations

import cv2

COLOUR = (255, 128, 0)  # blue first: the ONNX zoo's scripts' own
INK = (255, 255, 255)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def of_photograph(path, told):
    """The picture at `path` with the faces and answers of its Predictions drawn in."""
    from agegender import predict, tell

    labels = [", ".join(filter(None, tell.texts(prediction))) for prediction in told]
    return with_boxes(predict.read_picture(path), [prediction.face for prediction in told], labels)


def with_boxes(picture, faces, labels):
    """A copy of `picture` (uint8 BGR) with a rectangle a Face and its label in a filled strip above it."""
    drawn = picture.copy()
    thick = max(1, round(max(picture.shape[:2]) / 400))
    for face in faces:
        cv2.rectangle(drawn, face.box[:2], face.box[2:], COLOUR, thick, cv2.LINE_AA)
    for face, label in zip(faces, labels):
        _label(drawn, face.box, label, thick)
    return drawn


def _label(drawn, box, text, thick):
    """`text` above the box, or inside of it where the picture ends, as wide as the box where that can be read."""
    height, width = drawn.shape[:2]
    scale = _scale(text, box[2] - box[0], width)
    weight = max(1, round(1.6 * scale))
    (across, up), down = cv2.getTextSize(text, FONT, scale, weight)
    strip = up + down + 2 * thick + 4
    left = max(0, min(box[0] - thick // 2, width - across - 8))
    top = box[1] - strip if box[1] >= strip else max(0, box[1])
    cv2.rectangle(drawn, (left, top), (left + across + 8, top + strip), COLOUR, cv2.FILLED)
    cv2.putText(drawn, text, (left + 4, top + thick + 2 + up), FONT, scale, INK, weight, cv2.LINE_AA)


def _scale(text, room, width):
    """A font scale at which the text fills `room` pixels, within what can be read and what the picture holds."""
    at_one = max(1, cv2.getTextSize(text, FONT, 1.0, 2)[0][0])
    least, most = max(0.4, width / 2400), max(0.5, width / 800)
    return min(max(least, room / at_one), most, max(0.3, (width - 8) / at_one))


def frames_per_second(drawn, rate):
    """Write the rate into the upper left corner of `drawn`."""
    text = "%.1f frames/s" % rate
    cv2.putText(drawn, text, (8, 22), FONT, 0.6, (0, 0, 0), 3, cv2.LINE_AA)
    cv2.putText(drawn, text, (8, 22), FONT, 0.6, INK, 1, cv2.LINE_AA)
