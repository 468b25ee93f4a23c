"""A trained net on the faces that were held back: every answer, plainly, with the mirrored picture, in FP16 and in INT8."""

from __future__ import annotations

import json
import os
import types

import numpy as np

from agegender.evaluate import confusion, int8, metrics, report
from agegender.evaluate.run_inference import Scores
from agegender.inference.labels import AGE_TRINGN, MALE_FIRST, in_decades
from agegender.zoo import assemble
from caffe.data import datum
from caffe.data.db import open_db
from caffe.utils import atomic_io
from caffe.weights.snapshot import read_weights

TRUTH = {"age": "age_class", "gender": "sex"}
# the picture alone; the mean of what is said of it and of its mirror image; alone, as a stick would compute it (emulated);
# alone, in INT8 on the processor
EVALUATION_MODES = ("plain", "mirrored", "fp16", "int8")
BATCH = 50  # pictures at a time
ANSWERS = "answers.npz"  # of a report: every probability that it stands on


def answers(net, weights, database):
    """{view: (N, classes) probabilities} of a zoo net on a database of training.databases, without "int8"."""
    from ncs.precision import fp16_emulation
    from ncs.precision.lmdb_batches import batches

    stored = read_weights(weights)
    built, rounded = (assemble.deploy_net(net, stored) for _ in range(2))
    fp16_emulation.round_weights(rounded)
    told = {"plain": [], "mirrored": [], "fp16": []}
    for pictures, _, _ in batches(database, net.transform(), size=BATCH):
        told["plain"].append(fp16_emulation.answer(built, pictures))
        told["mirrored"].append((told["plain"][-1] + fp16_emulation.answer(built, pictures[..., ::-1])) / 2)
        told["fp16"].append(fp16_emulation.answer(rounded, pictures, half=True))
    return {view: np.concatenate(parts) for view, parts in told.items()}


def truth(database, gender_labels=MALE_FIRST):
    """(keys, {"age_class", "sex", "age": (N,) int array}) of a database of training.databases; sex as MALE_FIRST has it."""
    with open_db(database) as opened:
        read = [(key, datum.decode_labels(value, 3)[1]) for key, value in opened]
    age_class, gender, age = np.array([labels for _, labels in read]).astype(int).T
    sex = (gender != gender_labels.names.index(MALE_FIRST.names[0])).astype(int)
    return [key for key, _ in read], {"age_class": age_class, "sex": sex, "age": age}


def to_evaluation_classes(net, probabilities):
    """(labels, (N, classes)) in which an answer is judged: ages in AGE_TRINGN's classes, genders male first."""
    if net.task == "gender":
        order = net.labels.indices_of(MALE_FIRST.names)
        return MALE_FIRST, probabilities[:, order]
    return AGE_TRINGN, in_decades(probabilities) if probabilities.shape[1] > len(AGE_TRINGN) else probabilities


def evaluate(recipe, weights, database, folder, calibration=""):
    """Write `folder`/<task>/ (the full report) for each answer, `folder`/answers.npz and summary.json; returns the summary.

    `calibration` is a database for INT8, which is left out without.
    """
    keys, labels = truth(database, recipe.gender_labels())
    summary, kept = {"faces": len(keys)}, {}
    for net in recipe.nets():
        told = answers(net, weights, database)
        if calibration:
            told["int8"] = int8.answers(net, weights, calibration, database)
        kept |= {f"{net.task} {view}": probabilities for view, probabilities in told.items()}
        summary[net.task] = {view: compute_metrics(net, probabilities, labels) for view, probabilities in told.items()}
        kinds, probabilities = to_evaluation_classes(net, told["plain"])
        scores = Scores(keys, labels[TRUTH[net.task]], probabilities.astype(np.float32))
        shown = types.SimpleNamespace(name=f"{recipe.net} ({net.task})", task=net.task, labels=kinds)
        text = confusion.format_matrix(confusion.count(scores.truth, scores.predicted, len(kinds)), list(kinds.names))
        report.write(os.path.join(folder, net.task), shown, scores, text, weights=weights, database=database)
    with atomic_io.atomic_write(os.path.join(folder, ANSWERS)) as temporary, open(temporary, "wb") as stream:
        np.savez_compressed(stream, **kept)
    atomic_io.write_bytes(os.path.join(folder, "summary.json"), json.dumps(summary, indent=1) + "\n")
    return summary


def read_probabilities(folder, task):
    """{view: (N, classes) probabilities} of one answer, in the order of the database that `judge` wrote them for."""
    with np.load(os.path.join(folder, ANSWERS), allow_pickle=False) as kept:
        return {name.partition(" ")[2]: kept[name] for name in kept.files if name.partition(" ")[0] == task}


def read_summary(folder):
    """What `judge` wrote into `folder`."""
    with open(os.path.join(folder, "summary.json"), encoding="utf-8") as stream:
        return json.load(stream)


def compute_metrics(net, probabilities, labels):
    """Accuracy with its interval, and of ages 1-off and error in years; the same by decade and by sex."""
    _, classes = to_evaluation_classes(net, probabilities)
    right = classes.argmax(1) == labels[TRUTH[net.task]]
    out = {"accuracy": float(right.mean()), "accuracy_95": list(metrics.wilson_interval(int(right.sum()), len(right)))}
    if net.task == "age":
        off = np.abs(classes.argmax(1) - labels["age_class"])
        out["one_off"] = float((off <= 1).mean())
        out["error_years"] = float(np.abs(years(probabilities) - labels["age"]).mean())
    out["by_decade"] = _by_group(right, labels["age_class"], AGE_TRINGN.names)
    out["by_sex"] = _by_group(right, labels["sex"], MALE_FIRST.names)
    return out


def _by_group(right, values, titles):
    return {
        title: {"faces": int((values == index).sum()), "accuracy": float(right[values == index].mean())}
        for index, title in enumerate(titles)
        if (values == index).any()
    }


def years(probabilities):
    """(N,) expected years: of single years, or of the middles of AGE_TRINGN's classes."""
    if probabilities.shape[1] == len(AGE_TRINGN):
        return probabilities @ AGE_TRINGN.centres()
    return probabilities @ np.arange(probabilities.shape[1])
