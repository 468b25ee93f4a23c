"""The results of testing a net: the mean of every output, and the mean average precision of detections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from caffe.data.boxes.average_precision import DetectionScores

if TYPE_CHECKING:
    from caffe.net.net import Net


class TestOutputs:
    """Accumulates the outputs of a net over batches.

    The outputs of DetectionEvaluate layers are replaced by their mean average precision.

    Parameters
    ----------
    net : Net
    ap_version : str
        See `caffe.data.boxes.average_precision`.
    """

    __test__ = False  # not a test class

    def __init__(self, net: Net, ap_version: str = "Integral") -> None:
        self.net, self.ap_version = net, ap_version
        evaluating = [node for node in net.nodes if node.layer.type == "DetectionEvaluate"]
        tops = {name for node in evaluating for name in node.tops}
        self.detections = {name: DetectionScores() for name in net.outputs if name in tops}
        self._sums: dict[str, Any] = {}
        self._batches = 0

    def add(self, outputs: Mapping[str, np.ndarray] | None = None) -> None:
        """Add the outputs of a batch by name; by default those that the net has computed."""
        self._batches += 1
        for name in self.net.outputs:
            values = self.net.blobs[name].data if outputs is None else outputs[name]
            if name in self.detections:
                self.detections[name].add(values.reshape(-1, 5))
            else:
                self._sums[name] = self._sums.get(name, 0) + values.ravel().astype("float64")

    def results(self) -> dict[str, np.ndarray]:
        """Return output name -> mean of every element, or [mean average precision]."""
        out = {name: total / self._batches for name, total in self._sums.items()}
        out.update({name: np.array([scores.mean(self.ap_version)]) for name, scores in self.detections.items()})
        return {name: out[name] for name in self.net.outputs if name in out}

    def per_class(self) -> list[tuple[int, float]]:
        """Return (label, average precision) of all detections."""
        return [pair for scores in self.detections.values() for pair in scores.by_label(self.ap_version).items()]
