"""Evaluation of age and gender nets: accuracy, 1-off, error in years and intervals, by decade and by gender."""

from __future__ import annotations

import json
import os
import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from agegender.errors import AgeGenderError
from agegender.evaluate import calibration, confusion, int8, metrics, report
from agegender.evaluate.predictions import Predictions, database_batches, image_batches, net_predictor, predict_batches
from agegender.inference.calibration import scaled
from agegender.inference.faces import face_settings
from agegender.inference.labels import AGE_TRINGN, MALE_FIRST, Labels, in_decades
from agegender.zoo import temperatures
from caffe.utils import atomic_io

if TYPE_CHECKING:
    from agegender.datasets.sample import Sample
    from agegender.recipes.recipe import Recipe
    from agegender.zoo.model import Net

TRUTH = {"age": "age_class", "gender": "sex"}  # task -> name of its true classes
# plain: the image alone. flip: the mean over the image and its mirror image. fp16: plain, with the arithmetic of a
# stick emulated. int8: plain, quantized, on the CPU.
EVALUATION_MODES = ("plain", "flip", "fp16", "int8")
BATCH = 50
PROBABILITIES = "probabilities.npz"  # of a report: every probability behind it


def predict_lmdb(
    net: Net, weights: str, database: str, modes: Sequence[str] = EVALUATION_MODES[:3]
) -> dict[str, np.ndarray]:
    """Return {mode: (N, classes) probabilities} of a zoo net on an LMDB of `split_lmdbs`, in `modes` but int8."""
    from agegender.zoo import assemble
    from caffe.weights.snapshot import read_weights
    from ncs.precision import fp16_emulation

    stored = read_weights(weights)
    exact, rounded = (assemble.deploy_net(net, stored) for _ in range(2))
    fp16_emulation.round_weights(rounded)

    def model(blob: np.ndarray) -> dict[str, np.ndarray]:
        out = {"plain": fp16_emulation.predict(exact, blob)}
        if "flip" in modes:
            out["flip"] = (out["plain"] + fp16_emulation.predict(exact, blob[..., ::-1])) / 2
        if "fp16" in modes:
            out["fp16"] = fp16_emulation.predict(rounded, blob, half=True)
        return out

    predictions_of = predict_batches(model, database_batches(database, net.transform(), size=BATCH))
    return {mode: predictions.probabilities for mode, predictions in predictions_of.items()}


def predict_images(
    nets: Sequence[Net],
    samples: Sequence[Sample],
    weights: str | None = None,
    margin: float | None = None,
    step: Callable[[int], object] = lambda n: None,
) -> dict[str, np.ndarray]:
    """Return {task: (N, classes) probabilities} of zoo nets, one per task, for aligned face images.

    Parameters
    ----------
    nets : sequence of Net
    samples : sequence of Sample
        Images with age and gender.
    weights : str, optional
        A caffemodel that all the nets share, instead of the cached ones.
    margin : float, optional
        Replaces the margin of the nets' Transform; 0 takes aligned chips unchanged.
    step : callable
        Called with the number of images of each batch, once per file of weights.
    """
    from agegender.zoo import download

    by_weights: dict[str, list[Net]] = {}
    for net in nets:
        by_weights.setdefault(weights or download.weights_of(net), []).append(net)
    probabilities: dict[str, np.ndarray] = {}
    for path, group in by_weights.items():
        transform = group[0].transform()
        batches = image_batches(samples, transform, face_settings.margin(transform) if margin is None else margin)
        predictions_of = predict_batches(_shared_net(group, path), batches, lambda keys, *_: step(len(keys)))
        at = temperatures.of(path)
        probabilities.update(
            (task, scaled(predictions.probabilities, at.get(task, 1.0))) for task, predictions in predictions_of.items()
        )
    return probabilities


def _shared_net(nets: Sequence[Net], weights: str) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Return a model of nets that share a caffemodel: one forward pass, one output per task."""
    from agegender.zoo import assemble
    from caffe.net.net import Net as CaffeNet
    from caffe.proto import caffe_pb2

    tasks = [net.task for net in nets]
    net = CaffeNet.from_param(assemble.answers_param(nets, tasks), caffe_pb2.TEST)
    net.copy_from(weights)
    return net_predictor(net, tasks)


def lmdb_truth(database: str, gender_labels: Labels = MALE_FIRST) -> tuple[list[bytes], dict[str, np.ndarray]]:
    """Return keys and true labels of an LMDB of `agegender.datasets.split_lmdbs`.

    Returns
    -------
    keys : list of bytes
    truth : dict
        "age_class" (AGE_TRINGN), "sex" (MALE_FIRST) and "age" in years, each (N,) int.
    """
    from caffe.data import datum
    from caffe.data.db import open_db

    with open_db(database) as opened:
        records = [(key, datum.decode_labels(value, 3)[1]) for key, value in opened]
    age_class, gender, age = np.array([labels for _, labels in records]).astype(int).T
    sex = (gender != gender_labels.names.index(MALE_FIRST.names[0])).astype(int)
    return [key for key, _ in records], {"age_class": age_class, "sex": sex, "age": age}


def sample_truth(samples: Sequence[Sample]) -> dict[str, np.ndarray]:
    """Return the true labels of samples, as `lmdb_truth` does."""
    ages = np.array([sample.age for sample in samples])
    return {
        "age_class": np.array([AGE_TRINGN.index_of_age(int(age)) for age in ages]),
        "sex": np.array([sample.gender for sample in samples], int),
        "age": ages,
    }


def to_evaluation_classes(net: Net, probabilities: np.ndarray) -> tuple[Labels, np.ndarray]:
    """Return (labels, (N, classes)) that a net is evaluated in: AGE_TRINGN's classes, or genders male first."""
    if net.task == "gender":
        return MALE_FIRST, probabilities[:, net.labels.indices_of(MALE_FIRST.names)]
    if net.labels.names == AGE_TRINGN.names:
        return AGE_TRINGN, probabilities
    if net.labels.decoder != "argmax":
        return AGE_TRINGN, in_decades(probabilities)
    classes = np.zeros((len(probabilities), len(AGE_TRINGN)))  # other classes count for the class of their centre
    for index, centre in enumerate(net.labels.centres()):
        classes[:, AGE_TRINGN.index_of_age(int(centre))] += probabilities[:, index]
    return AGE_TRINGN, classes


def expected_years(net: Net, probabilities: np.ndarray) -> np.ndarray:
    """Return the predicted ages in years, (N,): the expectation over single years or over AGE_TRINGN's class centres.

    A net with other classes predicts the centre of its most probable class.
    """
    if net.labels.names == AGE_TRINGN.names:
        return probabilities @ AGE_TRINGN.centres()
    if net.labels.decoder == "argmax":
        return net.labels.centres()[probabilities.argmax(1)]
    return probabilities.astype(np.float64) @ np.arange(probabilities.shape[1])


def compute_metrics(net: Net, probabilities: np.ndarray, truth: dict[str, np.ndarray]) -> dict:
    """Return the metrics of one output.

    Parameters
    ----------
    net : Net
        The zoo net that the probabilities are of.
    probabilities : ndarray, (N, classes)
    truth : dict
        As `lmdb_truth` and `sample_truth` return it.

    Returns
    -------
    dict
        accuracy, accuracy_95 (Wilson interval), ece (expected calibration error of the classes); for ages one_off and
        error_years; the same by decade and by sex.
    """
    _, classes = to_evaluation_classes(net, probabilities)
    classes = classes / classes.sum(1, keepdims=True)
    correct = classes.argmax(1) == truth[TRUTH[net.task]]
    out: dict = {
        "accuracy": float(correct.mean()),
        "accuracy_95": list(metrics.wilson_interval(int(correct.sum()), len(correct))),
        "ece": calibration.expected_calibration_error(classes, truth[TRUTH[net.task]]),
    }
    error = None
    if net.task == "age":
        distance = np.abs(classes.argmax(1) - truth["age_class"])
        error = np.abs(expected_years(net, probabilities) - truth["age"])
        out["one_off"] = float((distance <= 1).mean())
        out["error_years"] = float(error.mean())
    out["by_decade"] = _by_group(correct, error, truth["age_class"], AGE_TRINGN.names)
    out["by_sex"] = _by_group(correct, error, truth["sex"], MALE_FIRST.names)
    return out


def _by_group(correct: np.ndarray, error: np.ndarray | None, groups: np.ndarray, names: Sequence[str]) -> dict:
    rows = {}
    for index, name in enumerate(names):
        members = groups == index
        if members.any():
            rows[name] = {"faces": int(members.sum()), "accuracy": float(correct[members].mean())}
            if error is not None:
                rows[name]["error_years"] = float(error[members].mean())
    return rows


def evaluate(recipe: Recipe, weights: str, database: str, folder: str, quantization: str = "") -> dict:
    """Evaluate a trained net in every mode and write the reports.

    Writes `folder`/<task>/ (the full report) per task, `folder`/probabilities.npz and summary.json.

    Parameters
    ----------
    recipe : Recipe
    weights, database : str
        Caffemodel and LMDB.
    quantization : str
        LMDB for the ranges of INT8; "" leaves INT8 out.

    Returns
    -------
    dict
        "faces" and, per task, {mode: metrics}.
    """
    keys, truth = lmdb_truth(database, recipe.gender_labels())
    summary: dict[str, Any] = {"faces": len(keys)}
    stored: dict[str, np.ndarray] = {}
    for net in recipe.nets():
        by_mode = predict_lmdb(net, weights, database)
        if quantization:
            by_mode["int8"] = int8.predict(net, weights, quantization, database)
        temperature = temperatures.of(weights).get(net.task, 1.0)
        by_mode = {mode: scaled(values, temperature) for mode, values in by_mode.items()}
        stored |= {f"{net.task} {mode}": probabilities for mode, probabilities in by_mode.items()}
        summary[net.task] = {mode: compute_metrics(net, values, truth) for mode, values in by_mode.items()}
        _write_report(os.path.join(folder, net.task), recipe, net, keys, truth, by_mode["plain"], weights, database)
    with atomic_io.atomic_write(os.path.join(folder, PROBABILITIES)) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, **stored)  # type: ignore[arg-type]
    atomic_io.write_bytes(os.path.join(folder, "summary.json"), json.dumps(summary, indent=1) + "\n")
    return summary


def _write_report(folder, recipe, net, keys, truth, probabilities, weights, database):
    labels, classes = to_evaluation_classes(net, probabilities)
    predictions = Predictions(keys, truth[TRUTH[net.task]], classes.astype(np.float32))
    title = types.SimpleNamespace(name=f"{recipe.net} ({net.task})", task=net.task, labels=labels)
    matrix = confusion.count(predictions.truth, predictions.predicted, len(labels))
    text = confusion.format_matrix(matrix, list(labels.names))
    report.write(folder, title, predictions, text, weights=weights, database=database)


def read_probabilities(folder: str, task: str) -> dict[str, np.ndarray]:
    """Return {mode: (N, classes) probabilities} of one task that `evaluate` stored, in the order of its database."""
    with np.load(os.path.join(folder, PROBABILITIES), allow_pickle=False) as stored:
        return {name.partition(" ")[2]: stored[name] for name in stored.files if name.partition(" ")[0] == task}


def read_summary(folder: str) -> dict:
    """Return the summary that `evaluate` wrote into `folder`."""
    with open(os.path.join(folder, "summary.json"), encoding="utf-8") as stream:
        return json.load(stream)


def evaluate_images(
    nets: Sequence[Net],
    samples: Sequence[Sample],
    weights: str | None = None,
    margin: float | None = None,
    step: Callable[[int], object] = lambda n: None,
) -> dict:
    """Evaluate zoo nets, one per task, on face images; the parameters are those of `predict_images`.

    Returns
    -------
    dict
        "faces" and, per task, its metrics.
    """
    if not samples:
        raise AgeGenderError("expected at least one face to evaluate on, received none")
    probabilities, truth = predict_images(nets, samples, weights, margin, step), sample_truth(samples)
    by_task = {net.task: compute_metrics(net, probabilities[net.task], truth) for net in nets}
    return {"faces": len(samples), **by_task}


def random_sample(samples: Sequence[Sample], count: int | None, seed: int) -> list[Sample]:
    """Return `count` samples drawn without replacement, in order; all if there are fewer or `count` is None."""
    if count is None or count >= len(samples):
        return list(samples)
    chosen = np.random.default_rng(seed).choice(len(samples), count, replace=False)
    return [samples[i] for i in sorted(chosen)]
