"""The temperatures of trained weights: a small JSON file next to the caffemodel."""

from __future__ import annotations

import json
import os

from agegender.errors import AgeGenderError
from caffe.utils import atomic_io

SUFFIX = ".calibration.json"


def path_of(weights: str) -> str:
    """Return the path of the temperatures of a caffemodel."""
    return os.path.splitext(weights)[0] + SUFFIX


def of(weights: str) -> dict[str, float]:
    """Return {task: temperature} of a caffemodel; {} if none were fitted.

    Raises
    ------
    AgeGenderError
        If the file is damaged.
    """
    path = path_of(weights)
    if not os.path.isfile(path):
        return {}
    try:
        with open(path, encoding="utf-8") as stream:
            values = json.load(stream)["temperature"]
        temperatures = {str(task): float(value) for task, value in values.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        temperatures = {"": 0.0}
    if not all(0 < value < float("inf") for value in temperatures.values()):
        raise AgeGenderError(f'{path}: expected {{"temperature": {{task: positive number}}}}; delete it or train again')
    return temperatures


def write(weights: str, temperatures: dict[str, float], faces: int) -> None:
    """Write the temperatures of a caffemodel and the number of faces that they were fitted on."""
    values = {"temperature": {task: round(value, 4) for task, value in temperatures.items()}, "faces": faces}
    atomic_io.write_bytes(path_of(weights), json.dumps(values, indent=1) + "\n")
