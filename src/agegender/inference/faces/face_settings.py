"""How a net's training faces were cropped: settings that a Transform keeps for this application.

Device side: Python 3.7, without torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from agegender.errors import AgeGenderError
from agegender.inference.faces import face_crop


def settings(margin: float = 0.0, landmarks: Any = None) -> dict:
    """Return the settings as JSON values, for `Transform(application=...)`.

    Parameters
    ----------
    margin : float
        Fraction of a face's box to add on each side when cropping the face.
    landmarks : five (x, y), optional
        Positions of left eye, right eye, nose, left and right corner of the mouth in the aligned training faces, as
        fractions of width and height.

    Raises
    ------
    AgeGenderError
        If a value is invalid.
    """
    values: dict = {"margin": _margin(margin)}
    points = _landmarks(landmarks)
    if points is not None:
        values["landmarks"] = [list(point) for point in points]
    return values


def margin(transform: Any) -> float:
    """Return the margin of the net's training faces; 0 if the Transform has none."""
    return _margin((transform.application or {}).get("margin", 0.0))


def landmarks(transform: Any) -> tuple | None:
    """Return the landmarks of the net's aligned training faces, or None."""
    return _landmarks((transform.application or {}).get("landmarks"))


def replace(transform: Any, **changes: Any) -> Any:
    """Return a copy of a Transform with another margin or other landmarks."""
    values: dict = {"margin": margin(transform), "landmarks": landmarks(transform)}
    values.update(changes)
    return transform.replace(application=settings(**values))


def _margin(value: Any) -> float:
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not 0 <= value < np.inf:
        raise AgeGenderError(f"expected a margin of at least 0, received {value!r}")
    return float(value)


def _landmarks(points: Any) -> tuple | None:
    if points is None:
        return None
    try:
        array: np.ndarray = np.array(points, np.float64)
    except (TypeError, ValueError):
        array = np.zeros(())
    if array.shape != (5, 2) or not np.isfinite(array).all():
        raise AgeGenderError(f"expected landmarks as five (x, y), fractions of width and height, received {points!r}")
    return tuple((float(x), float(y)) for x, y in array)


UTKFACE = settings(landmarks=face_crop.UTKFACE)  # aligned faces of these collections
ADIENCE = settings(landmarks=face_crop.ADIENCE)
