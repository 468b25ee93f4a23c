"""Contact sheet of a folder of faces: one column per age class, men above women."""

from __future__ import annotations

import os

import cv2
import numpy as np

from agegender.datasets import utkface
from agegender.errors import AgeGenderError
from agegender.inference.labels import AGE_TRINGN
from caffe.device.image_file import read_image
from caffe.utils import atomic_io

SIDE = 120  # width and height of a face in pixels
PER_CELL = 2  # faces per gender and class


def write_sheet(path: str | os.PathLike, folder: str | os.PathLike) -> None:
    """Write a PNG or JPEG with the first faces of every class and gender; missing faces are gray."""
    samples = utkface.read_folder(folder).samples
    columns = []
    for index, name in enumerate(AGE_TRINGN.names):
        cells = [_header(name)]
        for gender in (0, 1):
            paths = [s.path for s in samples if s.age_class == index and s.gender == gender][:PER_CELL]
            cells += [_face(paths[k] if k < len(paths) else None) for k in range(PER_CELL)]
        columns.append(np.vstack(cells))
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in (".png", ".jpg"):
        raise AgeGenderError(f"{path}: expected a contact sheet of type .png or .jpg")
    atomic_io.write_bytes(path, cv2.imencode(suffix, np.hstack(columns))[1].tobytes())


def _face(path):
    if path is None:
        return np.full((SIDE, SIDE, 3), 235, np.uint8)
    return cv2.resize(read_image(path), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def _header(text):
    bar = np.full((24, SIDE, 3), 255, np.uint8)
    width = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)[0][0]
    cv2.putText(bar, text, ((SIDE - width) // 2, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (40, 40, 40), 1, cv2.LINE_AA)
    return bar
