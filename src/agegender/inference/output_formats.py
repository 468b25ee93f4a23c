"""What was found in photographs, for people, programs and tables: a line a face, a JSON object a picture, a row a face."""

from __future__ import annotations

import csv
import json

from agegender.inference import face_crop
from caffe import safe_text
from caffe.safe_text import cell
from caffe.utils.atomic_io import atomic_write

LANDMARKS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")  # left and right as the picture shows them


def texts(prediction):
    """(gender, age) as answered, either "" when no net was asked; several nets of one task are joined by a slash."""
    by_task = {"gender": [], "age": []}
    for answer in prediction.answers.values():
        by_task.get(answer.task, by_task["age"]).append(answer.text)
    return "/".join(by_task["gender"]), "/".join(by_task["age"])


def line(index, prediction):
    """`Box 0 --> Female, 31.4`, and with one of the two answers `Box 0 --> Female`."""
    gender, age = texts(prediction)
    if gender and age:
        return face_crop.line(index, gender, age)
    return "Box %d --> %s" % (index, gender or age)


def photograph_json(path, told):
    """One JSON object for a photograph and the Predictions of its faces."""
    return json.dumps({"image": path, "faces": [_face(prediction) for prediction in told]})


def _face(prediction):
    face = prediction.face
    return {
        "box": list(face.box),
        "score": round(face.score, 4),
        "landmarks": {name: [round(float(v), 2) for v in xy] for name, xy in zip(LANDMARKS, face.landmarks)},
        "answers": answers(prediction),
        "seconds": prediction.seconds,
    }


def answers(prediction):
    """The answers of a Prediction as plain values, by net."""
    return {
        answer.net: {"label": answer.text, "probability": answer.probability, "probabilities": answer.probabilities}
        for answer in prediction.answers.values()
    }


def write_faces(path, photographs, nets):
    """A table of a row a face: picture, number, box, score, landmarks, and label and probability of each of `nets`."""
    places = [name + axis for name in LANDMARKS for axis in ("_x", "_y")]
    columns = ["image", "face", "left", "top", "right", "bottom", "score", *places]
    columns += [name for net in nets for name in (net, net + " probability")]
    with atomic_write(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(map(cell, columns))
        for image, told in photographs:
            for index, prediction in enumerate(told):
                writer.writerow([cell(image), index, *_cells(prediction)])


def _cells(prediction):
    face = prediction.face
    points = [f"{value:.2f}" for value in face.landmarks.ravel()]
    told = [cell for a in prediction.answers.values() for cell in (safe_text.cell(a.text), f"{a.probability:.6f}")]
    return [*face.box, f"{face.score:.4f}", *points, *told]
