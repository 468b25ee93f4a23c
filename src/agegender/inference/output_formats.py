"""Predictions as text lines, JSON objects and CSV tables."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from typing import Any

from agegender.inference import labels
from agegender.inference.faces import face_crop
from agegender.inference.results import ImageResult, NetOutput, Prediction
from caffe.utils.atomic_io import atomic_write
from caffe.utils.cli.safe_text import cell

LANDMARKS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")  # left and right as the image shows them


def texts(prediction: Prediction) -> tuple[str, str]:
    """Return (gender, age) as text, each "" without such a net; several nets of one task are joined by a slash."""
    by_task: dict[str, list[str]] = {"gender": [], "age": []}
    for output in prediction.answers.values():
        by_task.get(output.task, by_task["age"]).append(output.text)
    return "/".join(by_task["gender"]), "/".join(by_task["age"])


def line(index: int, prediction: Prediction) -> str:
    """Return `Box 0 --> Female, 31.4`, or `Box 0 --> Female` with one of the two outputs."""
    gender, age = texts(prediction)
    if gender and age:
        return face_crop.line(index, gender, age)
    return f"Box {index} --> {gender or age}"


def image_json(result: ImageResult) -> str:
    """Return the JSON object of an image that is one aligned face."""
    prediction = result.predictions[0]
    values = {"image": result.path, "answers": answers(prediction), "seconds": prediction.seconds}
    if result.warnings:
        values["warnings"] = result.warnings
    return json.dumps(values)


def photograph_json(result: ImageResult) -> str:
    """Return the JSON object of a photograph and its faces."""
    return json.dumps({"image": result.path, "faces": [_face(prediction) for prediction in result.predictions]})


def _face(prediction: Prediction) -> dict[str, Any]:
    face = prediction.face
    return {
        "box": list(face.box),
        "score": round(face.score, 4),
        "landmarks": {name: [round(float(v), 2) for v in xy] for name, xy in zip(LANDMARKS, face.landmarks)},
        "answers": answers(prediction),
        "seconds": prediction.seconds,
    }


def answers(prediction: Prediction) -> dict[str, dict[str, Any]]:
    """Return the outputs of a prediction as plain values, by net; "years" is the expected age."""
    return {name: _plain(output) for name, output in prediction.answers.items()}


def _plain(output: NetOutput) -> dict[str, Any]:
    values = {"label": output.text, "probability": output.probability, "probabilities": output.probabilities}
    years = expected_years(output)
    if years is not None:
        values["years"] = round(years, 2)
    if output.interval is not None:
        values["interval_years"] = round(output.interval, 2)
    if not output.confident:
        values["confident"] = False
    return values


def expected_years(output: NetOutput) -> Any:
    """Return the age in years of an age output (its own, or the expectation over class centres), or None."""
    if output.years is not None or output.task != "age":
        return output.years
    for known in labels.ALL.values():
        if known.bounds and len(known) == len(output.probabilities) and output.text in known.names:
            return float(sum(p * centre for p, centre in zip(output.probabilities, known.centres())))
    return None


def write_images(path: str, rows: Iterable[tuple[str, Sequence[Prediction]]], names: Sequence[str]) -> None:
    """Write a CSV row per image: its path, and label and probability of each output in `names`."""
    header = ["image", *_name_cells(names)]
    write_csv(path, header, ([cell(image), *_output_cells(predictions[0])] for image, predictions in rows))


def write_faces(path: str, rows: Iterable[tuple[str, Sequence[Prediction]]], names: Sequence[str]) -> None:
    """Write a CSV row per face: image, number, box, score, landmarks, and label and probability of each output."""
    points = [name + axis for name in LANDMARKS for axis in ("_x", "_y")]
    header = ["image", "face", "left", "top", "right", "bottom", "score", *points]
    header += _name_cells(names)
    faces = (
        [cell(image), index, *_face_cells(prediction), *_output_cells(prediction)]
        for image, predictions in rows
        for index, prediction in enumerate(predictions)
    )
    write_csv(path, header, faces)


def write_csv(path: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file atomically. Names must have passed `caffe.utils.cli.safe_text.cell`."""
    with atomic_write(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)


def _name_cells(names: Sequence[str]) -> list[str]:
    return [cell(text) for name in names for text in (name, name + " probability")]


def _face_cells(prediction: Prediction) -> list[Any]:
    face = prediction.face
    return [*face.box, f"{face.score:.4f}", *(f"{value:.2f}" for value in face.landmarks.ravel())]


def _output_cells(prediction: Prediction) -> list[str]:
    return [text for output in prediction.answers.values() for text in (cell(output.text), f"{output.probability:.6f}")]
