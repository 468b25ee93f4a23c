"""Format predictions as text (a line per face), JSON (an object per image) or CSV (a row per face)."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

from agegender.inference import face_crop
from caffe.utils.atomic_io import atomic_write

if TYPE_CHECKING:
    from agegender.inference.predict import Prediction

LANDMARKS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")  # left and right as in the image


def texts(prediction: Prediction) -> tuple:
    """(gender, age) as text; "" if no net predicts it, slash-separated if several do."""
    by_task = {"gender": [], "age": []}
    for answer in prediction.answers.values():
        by_task.get(answer.task, by_task["age"]).append(answer.text)
    return "/".join(by_task["gender"]), "/".join(by_task["age"])


def line(index: int, prediction: Prediction) -> str:
    """`Box 0 --> Female, 31.4`, or `Box 0 --> Female` if only one of the two is predicted."""
    gender, age = texts(prediction)
    if gender and age:
        return face_crop.line(index, gender, age)
    return f"Box {index} --> {gender or age}"


def photograph_json(path: str, predictions: list[Prediction]) -> str:
    """JSON object of a photograph and its faces."""
    return json.dumps({"image": path, "faces": [_face(prediction) for prediction in predictions]})


def _face(prediction):
    face = prediction.face
    return {
        "box": list(face.box),
        "score": round(face.score, 4),
        "landmarks": {name: [round(float(v), 2) for v in xy] for name, xy in zip(LANDMARKS, face.landmarks)},
        "answers": answers(prediction),
        "seconds": prediction.seconds,
    }


def answers(prediction: Prediction) -> dict:
    """Outputs of a Prediction as plain values, by net."""
    return {
        answer.net: {"label": answer.text, "probability": answer.probability, "probabilities": answer.probabilities}
        for answer in prediction.answers.values()
    }


def write_faces(path: str, photographs: list[tuple[str, list[Prediction]]], nets: list[str]) -> None:
    """Write a CSV file with one row per face: image, index, box, score, landmarks, label and probability per net."""
    coordinates = [name + axis for name in LANDMARKS for axis in ("_x", "_y")]
    columns = ["image", "face", "left", "top", "right", "bottom", "score", *coordinates]
    columns += [name for net in nets for name in (net, net + " probability")]
    with atomic_write(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(columns)
        for image, predictions in photographs:
            for index, prediction in enumerate(predictions):
                writer.writerow([image, index, *_cells(prediction)])


def _cells(prediction):
    face = prediction.face
    points = [f"{value:.2f}" for value in face.landmarks.ravel()]
    outputs = [cell for a in prediction.answers.values() for cell in (a.text, f"{a.probability:.6f}")]
    return [*face.box, f"{face.score:.4f}", *points, *outputs]
