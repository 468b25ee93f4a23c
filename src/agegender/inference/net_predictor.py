"""A net that is ready to predict, and nets that predict together.

Device side: Python 3.7, numpy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from agegender.inference import calibration, labels
from agegender.inference.image_files import WRONG_OPTIONS, failure
from agegender.inference.results import DEFAULT_STYLE, UNSURE, NetOutput, Style


class NetPredictor:
    """One output of a net, ready to predict: a manifest's Transform and labels, and a runner.

    The outputs of one net share a runner, and one inference computes all of them; `open_heads` returns them.

    Parameters
    ----------
    manifest : ncs.runtime.manifest.Manifest
    runner : ncs.runtime.base.Runner
    flip : bool
        Predict the mean over the image and its mirror image.
    head : ncs.runtime.manifest.Head, optional
        Which output; default: the first.
    style : Style
    """

    def __init__(
        self, manifest: Any, runner: Any, flip: bool = False, head: Any = None, style: Style = DEFAULT_STYLE
    ) -> None:
        head = head or manifest.all_heads()[0]
        self.name = self.output_name = head.name
        self.inputs = [(port.name, port.transform) for port in manifest.all_inputs()]
        self.transform = manifest.transform
        self.labels = _labels(head)
        self.task = _task(head)
        self.runner, self.flip = runner, flip
        self.temperature, self.style = head.temperature, style
        self._columns = manifest.columns()[head.output] if manifest.heads else slice(None)

    def probabilities(self, blobs: Any) -> np.ndarray:
        """Return the (N, classes) output for blobs (N, C, H, W), or for a dict of them by input."""
        return self.select(self.run(blobs))

    def run(self, blobs: Any) -> np.ndarray:
        """Return the values of all outputs of the net, next to each other."""
        rows = self.runner.run(blobs)
        if self.flip:
            rows = (rows + self.runner.run(_mirrored(blobs))) / 2
        return rows

    def select(self, rows: np.ndarray) -> np.ndarray:
        """Return the columns of this output from what `run` returned, at the output's temperature."""
        return calibration.scaled(rows[:, self._columns], self.temperature)

    def blob(self, chip: Callable[[Any], np.ndarray]) -> Any:
        """Return the net's input from `chip`, a function of a Transform that returns the image to transform."""
        if len(self.inputs) == 1:
            return self.transform.image(chip(self.transform))
        return {name: transform.image(chip(transform)) for name, transform in self.inputs}

    def output(self, probabilities: np.ndarray) -> NetOutput:
        """Return the NetOutput of one row of probabilities."""
        decoded = self.labels.decode(probabilities)
        values = [float(p) for p in np.ravel(probabilities)]
        out = NetOutput(self.output_name, decoded.text, decoded.probability, values, self.task, decoded.years)
        if self.style.age_interval and out.years is not None:
            out.interval = calibration.interval_years(probabilities)
            out.text, out.probability = f"{out.years:.0f} ± {out.interval:.0f} years", calibration.COVERAGE
        if decoded.probability < self.style.min_confidence:
            out.text, out.probability, out.confident = UNSURE, decoded.probability, False
        return out


def open_heads(manifest: Any, runner: Any, flip: bool = False, style: Style = DEFAULT_STYLE) -> list[NetPredictor]:
    """Return a NetPredictor for every output of a net; they share the runner."""
    return [NetPredictor(manifest, runner, flip, head, style) for head in manifest.all_heads()]


def close_runners(nets: Iterable[NetPredictor]) -> None:
    """Close the runner of every net, each once."""
    for runner in {id(net.runner): net.runner for net in nets}.values():
        runner.close()


def _mirrored(blobs: Any) -> Any:
    if isinstance(blobs, dict):
        return {name: np.ascontiguousarray(array[..., ::-1]) for name, array in blobs.items()}
    return np.ascontiguousarray(blobs[..., ::-1])


def stack(blobs: Sequence[Any]) -> Any:
    """Return the inputs of several faces, arrays or dicts of them, as one batch."""
    if isinstance(blobs[0], dict):
        return {name: np.stack([blob[name] for blob in blobs]) for name in blobs[0]}
    return np.stack(blobs)


def make_ensemble(nets: Sequence[NetPredictor]) -> None:
    """Let nets of the same task predict together, under the task's name: the mean of their probabilities.

    A net of unknown task stays alone. Nets of single years may end at different years.

    Raises
    ------
    AgeGenderError
        If nets of one task have different classes.
    """
    first: dict[str, NetPredictor] = {}
    for net in nets:
        if not net.task:
            continue
        other = first.setdefault(net.task, net)
        same = set(net.labels.names) == set(other.labels.names)
        if not same and not (_single_years(net) and _single_years(other)):
            raise failure(
                WRONG_OPTIONS, f"{net.name} and {other.name} predict {net.task} in different classes: no ensemble"
            )
        net.output_name = net.task


def _single_years(net: NetPredictor) -> bool:
    return net.labels.decoder in ("expectation", "decades")


def as_original(transform: Any) -> Any:
    """Return the Transform of AgeGenderPrediction's script: RGB, minus the channel means of the BGR mean, unswapped."""
    mean = transform.mean
    if mean is not None and mean.ndim == 3:
        mean = mean.mean(axis=(1, 2))
    return transform.replace(order="RGB", mean=mean)


def _task(head: Any) -> str:
    if set(head.labels) == set(labels.MALE_FIRST.names):
        return "gender"
    return "age" if head.label_set.startswith("age") or "age" in head.name.lower() else ""


def _labels(head: Any) -> labels.Labels:
    known = labels.ALL.get(head.label_set)
    if known is not None and list(known.names) == list(head.labels):
        return known
    labels.check_decoder(head.decoder, head.name)
    return labels.Labels(head.label_set or head.name, tuple(head.labels), decoder=head.decoder)


def widest(members: Sequence[tuple[NetPredictor, np.ndarray]]) -> NetPredictor:
    """Return the first of the nets with the most classes."""
    return max((net for net, _ in members), key=lambda net: len(net.labels))


def mean_probabilities(members: Sequence[tuple[NetPredictor, np.ndarray]]) -> np.ndarray:
    """Return the mean probabilities of an ensemble, in the order of the widest net's classes."""
    if len(members) == 1:
        return members[0][1]
    names = widest(members).labels.names
    total = np.zeros((len(members[0][1]), len(names)))
    for net, row in members:
        columns = [names.index(name) for name in net.labels.names]
        total[:, columns] += np.reshape(row, (len(row), -1))
    return total / len(members)
