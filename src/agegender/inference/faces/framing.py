"""Notice images that are not framed as a net's training images were.

A net that was trained on aligned faces predicts anything for a photograph, a tight crop or an image without a face.
The face detector finds the landmarks; the manifest's Transform knows where they belong. Device side: Python 3.7,
OpenCV.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from agegender.errors import AgeGenderError
from agegender.inference.faces import face_settings

# Mean distance of the five landmarks from their trained positions, as a fraction of the side. Of 250 aligned faces of
# UTKFace 2 % are above it, with a margin of 0.1 11 %, with a margin of 0.25 all. Chips that another program had
# aligned have 0.078 to 0.198.
MAX_DISTANCE = 0.06
MIN_SIDE = 80  # pixels; the detector does not see smaller chips reliably, so they are enlarged to this side


class FramingCheck:
    """Compare the landmarks of an image with the trained ones.

    Parameters
    ----------
    find : callable
        Returns the faces of a BGR image, the largest first: `agegender.inference.faces.detect.Detector().find`.
    """

    def __init__(self, find: Callable[[np.ndarray], Any]) -> None:
        self.find = find

    def __call__(self, image: np.ndarray, transform: Any) -> str:
        """Return a warning, or "" if the image shows one face in the trained position."""
        faces = self.find(_enlarged(image))
        if not faces:
            return "no face was found; the prediction is meaningless unless the image is an aligned face"
        if len(faces) > 1 and faces[1].area > 0.25 * faces[0].area:
            return f"{len(faces)} faces were found, but the image is predicted as one face; use --detect"
        if face_settings.landmarks(transform) is None:
            return ""
        distance = landmark_distance(faces[0].landmarks, _enlarged(image).shape, transform)
        if distance <= MAX_DISTANCE:
            return ""
        digits = 1 if distance < 0.1 else 0  # near the limit, whole numbers would be equal
        return (
            f"the face is not where the net was trained to expect it (its landmarks are off by "
            f"{100 * distance:.{digits}f} % "
            f"of the side, expected at most {100 * MAX_DISTANCE:.0f} %); use --detect to align it"
        )


def landmark_distance(landmarks: np.ndarray, shape: Any, transform: Any) -> float:
    """Return the mean distance of landmarks from the trained ones, as a fraction of the side.

    Parameters
    ----------
    landmarks : ndarray, (5, 2)
        In pixels.
    shape : tuple
        (H, W, ...) of the image.
    transform : Transform
        Its `landmarks` are fractions of the side of an aligned face.
    """
    size = np.array([shape[1], shape[0]], np.float64)
    return float(
        np.linalg.norm(np.asarray(landmarks) / size - np.asarray(face_settings.landmarks(transform)), axis=1).mean()
    )


def _enlarged(image: np.ndarray) -> np.ndarray:
    import cv2

    scale = MIN_SIDE / min(image.shape[:2])
    if scale <= 1:
        return image
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)


def default_check() -> Any:
    """Return a FramingCheck with the packaged detector, or None if this OpenCV cannot run it."""
    from agegender.inference.faces import detect

    try:
        return FramingCheck(detect.Detector().find)
    except AgeGenderError:
        return None
