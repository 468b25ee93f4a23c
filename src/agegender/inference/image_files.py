"""The image files that a user names: which they are, and reading them.

Device side: Python 3.7, numpy, OpenCV.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence

import numpy as np

from agegender.errors import AgeGenderError
from caffe.device import image_file

WRONG_OPTIONS, NO_FILE, NO_IMAGE, NO_FACE, NO_MODEL, NO_DEVICE = 2, 3, 4, 5, 6, 7  # exit statuses
MIN_SIDE = 16  # pixels; a smaller image cannot show a face
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


def failure(status: int, text: str) -> AgeGenderError:
    """Return an AgeGenderError with its own exit status."""
    error = AgeGenderError(text)
    error.exit_status = status
    return error


def refuse_input(output: str, paths: Sequence[str]) -> None:
    """Raise an error if the file `output` is one of the input files `paths`, which writing it would replace."""
    if os.path.isfile(output) and any(os.path.samefile(output, path) for path in paths if os.path.exists(path)):
        raise failure(WRONG_OPTIONS, f"{output}: this would replace an input file; choose another name")


def read_image(path: str) -> np.ndarray:
    """Read an image file.

    Returns
    -------
    ndarray of uint8, (H, W, 3)
        BGR.

    Raises
    ------
    AgeGenderError
        With exit status NO_FILE, NO_IMAGE (not an image) or NO_FACE (too small to show a face).
    """
    if not os.path.isfile(path):
        raise failure(NO_FILE, f"{path}: no such file")
    try:
        image = image_file.read_image(path)
    except image_file.ImageError as error:
        raise failure(NO_IMAGE, str(error)) from None
    return check_size(path, image)


def check_size(path: str, image: np.ndarray) -> np.ndarray:
    """Return `image`, or raise AgeGenderError with exit status NO_FACE if it is too small to show a face."""
    height, width = image.shape[:2]
    if min(height, width) < MIN_SIDE:
        raise failure(
            NO_FACE, f"{path}: expected at least {MIN_SIDE} pixels per side to show a face, received {width}x{height}"
        )
    return image


def find_images(arguments: Iterable[str]) -> list[str]:
    """Return the image paths that files, directories (recursive, sorted) and globs stand for.

    Raises
    ------
    AgeGenderError
        If a directory holds no image, or a glob matches nothing.
    """
    paths: list[str] = []
    for argument in arguments:
        if os.path.isdir(argument):
            paths += _images_below(argument)
        elif not os.path.exists(argument) and _has_magic(argument):
            paths += _matches(argument)
        else:
            paths.append(argument)
    return paths


def _images_below(folder: str) -> list[str]:
    paths = sorted(
        os.path.join(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(IMAGE_SUFFIXES)
    )
    if not paths:
        raise failure(NO_FILE, "{}: no image in this directory ({})".format(folder, " ".join(IMAGE_SUFFIXES)))
    return paths


def _has_magic(pattern: str) -> bool:
    return glob.has_magic(pattern)


def _matches(pattern: str) -> list[str]:
    paths = sorted(glob.glob(pattern, recursive=True))
    if not paths:
        raise failure(NO_FILE, f"{pattern}: no file matches")
    return paths


def short_names(paths: Sequence[str]) -> list[str]:
    """Return a short name for each path: its base name, or its path below the common directory if two are equal."""
    names = [os.path.basename(path) for path in paths]
    if len(set(names)) == len(set(paths)):
        return names
    absolute = [os.path.abspath(path) for path in paths]
    return [os.path.relpath(path, os.path.commonpath(absolute)) for path in absolute]
