"""Fit the temperature of each output on the validation part of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agegender.evaluate import calibration, evaluate

if TYPE_CHECKING:
    from agegender.recipes.recipe import Recipe


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

        def classes(values: np.ndarray, net=net) -> np.ndarray:
            return evaluate.to_evaluation_classes(net, values)[1]

        out[net.task] = calibration.fit_temperature(rows, expected, classes, weights=face_weights)
    return out
