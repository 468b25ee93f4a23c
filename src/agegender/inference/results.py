"""What nets predict for faces and images.

Device side: Python 3.7, numpy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

UNSURE = "unsure"


@dataclass
class NetOutput:
    """What one net predicts for one face.

    `task` is "age" or "gender" if known; `years` the expected age if the net predicts single years; `interval` half the
    width in years of an age given with an interval. `confident` is False below the minimum confidence.
    """

    net: str
    text: str
    probability: float
    probabilities: list[float]
    task: str = ""
    years: float | None = None
    interval: float | None = None
    confident: bool = True


@dataclass(frozen=True)
class Style:
    """How predictions are given.

    Attributes
    ----------
    min_confidence : float
        A label with a lower probability is given as UNSURE.
    age_interval : bool
        Give the age of nets of single years as `34 ± 7 years`, the interval that holds 68 % of the probability.
    """

    min_confidence: float = 0.0
    age_interval: bool = False


DEFAULT_STYLE = Style()


@dataclass
class Prediction:
    """What all nets predict for one face.

    Attributes
    ----------
    path : str
        The image file, or "".
    answers : dict of str to NetOutput
        By net, or by task for an ensemble.
    seconds : dict of str to float
        By processing step.
    face : agegender.inference.faces.detect.Face or None
        Where the image shows the face; None if the image is the face.
    """

    path: str
    answers: dict[str, NetOutput] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    face: Any = None


@dataclass
class ImageResult:
    """The predictions for one image: the decoded image (uint8 BGR), one Prediction per face, and warnings."""

    path: str
    image: np.ndarray
    predictions: list[Prediction]
    warnings: list[str] = field(default_factory=list)
