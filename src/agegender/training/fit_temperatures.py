"""Fit the temperature of each output on the validation part of a training."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from agegender.evaluate import calibration, evaluate

if TYPE_CHECKING:
    from agegender.recipes.recipe import Recipe
    from agegender.zoo.model import Net


def fit(recipe: Recipe, weights: str, database: str) -> dict[str, float]:
    """Return {task: temperature} of a trained net on an LMDB of faces that it was not trained on.

    Every combination of age class and gender counts by the square root of its faces: a collection of other ages than
    the training faces' should get probabilities that hold, too.
    """
    _, truth = evaluate.lmdb_truth(database, recipe.gender_labels())
    groups = np.unique(2 * truth["age_class"] + truth["sex"], return_inverse=True)[1]
    face_weights = np.bincount(groups)[groups] ** -0.5
    out = {}
    for net in recipe.nets():
        rows = evaluate.predict_lmdb(net, weights, database, ("plain",))["plain"]
        expected = truth[evaluate.TRUTH[net.task]]
        out[net.task] = calibration.fit_temperature(rows, expected, _classes_of(net), weights=face_weights)
    return out


def _classes_of(net: Net) -> Callable[[np.ndarray], np.ndarray]:
    return lambda rows: evaluate.to_evaluation_classes(net, rows)[1]
