"""What `Model.predict` and `Model.val` return."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np

from agegender.inference.results import ImageResult, NetOutput, Prediction


@dataclasses.dataclass
class Result:
    """The prediction for one image, or for one detected face in it.

    Attributes
    ----------
    path : str
        The image file; "" for an array.
    image : ndarray of uint8, (H, W, 3)
        The decoded image, BGR.
    outputs : dict of str to NetOutput
        What each net predicts: text, probability, probabilities, task and years.
    box : tuple of int or None
        (left, top, right, bottom) of a detected face.
    warnings : list of str
        Why the prediction may be wrong, such as an image without a face.
    """

    path: str
    image: np.ndarray
    outputs: dict[str, NetOutput]
    box: tuple[int, int, int, int] | None
    warnings: list[str]
    _prediction: Prediction

    @classmethod
    def from_prediction(cls, result: ImageResult, prediction: Prediction) -> Result:
        """Wrap one prediction of an ImageResult."""
        box = tuple(prediction.face.box) if prediction.face is not None else None
        return cls(result.path, result.image, prediction.answers, box, list(result.warnings), prediction)

    @property
    def label(self) -> str:
        """The predicted label; of several nets, such as gender and age, joined by a comma."""
        return ", ".join(output.text for output in self.outputs.values())

    @property
    def probability(self) -> float:
        """The probability of the label; of several nets the smallest."""
        return min(output.probability for output in self.outputs.values())

    def top(self, k: int = 5) -> list[tuple[int, float]]:
        """Return the `k` most probable (class index, probability) of a model with one output."""
        (output,) = self.outputs.values()
        order = np.argsort(output.probabilities)[::-1][:k]
        return [(int(index), float(output.probabilities[index])) for index in order]

    def plot(self) -> np.ndarray:
        """Return a copy of the image with the prediction drawn (uint8 BGR)."""
        from agegender.inference import annotate

        if self.box is None:
            return annotate.draw_aligned(self.image, self._prediction)
        return annotate.draw_boxes(self.image, [self._prediction.face], [self.label])

    def save(self, path: str) -> None:
        """Write `plot()` to an image file."""
        from agegender.inference import annotate

        annotate.write(path, self.plot(), self.path)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain values."""
        from agegender.inference import output_formats

        values: dict[str, Any] = {"image": self.path, "label": self.label, "probability": self.probability}
        if self.box is not None:
            values["box"] = list(self.box)
        values["outputs"] = output_formats.answers(self._prediction)
        if self.warnings:
            values["warnings"] = self.warnings
        return values

    def to_json(self) -> str:
        """Return the result as a JSON object."""
        return json.dumps(self.to_dict())


@dataclasses.dataclass
class DetectionMetrics:
    """The evaluation of a net for detection.

    Attributes
    ----------
    mean_average_precision : float
        Over the classes that have boxes.
    average_precision : dict of str to float
        By class.
    boxes : dict of str to int
        True boxes by class, without difficult ones.
    images : int
    """

    mean_average_precision: float
    average_precision: dict[str, float]
    boxes: dict[str, int]
    images: int

    def __str__(self) -> str:
        rows = [f"{name:20} {value:.4f}  ({self.boxes[name]} boxes)" for name, value in self.average_precision.items()]
        return "\n".join([*rows, f"{'mean':20} {self.mean_average_precision:.4f}  ({self.images} images)"])


@dataclasses.dataclass
class SegmentationMetrics:
    """The evaluation of a net for segmentation.

    Attributes
    ----------
    mean_iou : float
        Mean intersection over union of the classes that occur.
    iou : dict of str to float
        By class, of those that occur.
    accuracy : float
        Fraction of pixels with the right class.
    confusion_matrix : ndarray of int, (classes, classes)
        Pixels; rows are true classes, columns predictions.
    """

    mean_iou: float
    iou: dict[str, float]
    accuracy: float
    confusion_matrix: np.ndarray

    def __str__(self) -> str:
        rows = [f"{name:20} {value:.4f}" for name, value in self.iou.items()]
        return "\n".join([*rows, f"{'mean':20} {self.mean_iou:.4f}", f"{'pixel accuracy':20} {self.accuracy:.4f}"])


@dataclasses.dataclass
class Metrics:
    """The evaluation of one net on labelled images.

    Attributes
    ----------
    accuracy : float
        Fraction of correct predictions.
    interval : tuple of float
        Its 95 % confidence interval (Wilson).
    confusion_matrix : ndarray of int, (classes, classes)
        Rows are true classes, columns predictions.
    labels : tuple of str
    one_off : float or None
        For age classes: fraction of predictions at most one class from the truth.
    report : dict
        Everything `agegender test --report` writes: per-class precision, recall, F1 and more.
    """

    accuracy: float
    interval: tuple[float, float]
    confusion_matrix: np.ndarray
    labels: tuple[str, ...]
    one_off: float | None
    report: dict

    def __str__(self) -> str:
        from agegender.evaluate import confusion

        return confusion.format_matrix(self.confusion_matrix, list(self.labels))
