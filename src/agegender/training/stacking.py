"""Stacking (Wolpert 1992): combine published nets into one teacher that has not seen the faces it predicts.

The features of all nets (`teacher_features`) are the input of small nets. Each is trained on the other folds of the
training part, so that a prediction never depends on the face's own label: where labels are wrong, it disagrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from agegender.datasets.split_lmdbs import label_names
from agegender.training import teacher_features
from caffe.core.lazy_torch import torch

if TYPE_CHECKING:
    from agegender.datasets.sample import Sample
    from agegender.recipes.recipe import Recipe

FOLDS, HIDDEN, EPOCHS, BATCH = 5, 256, 16, 128
DROPOUT, RATE, DECAY = 0.5, 2e-3, 1e-2


def predict(recipe: Recipe, samples: Sequence[Sample], folder: str, seed: int) -> dict[str, np.ndarray]:
    """Return {task: (N, classes) probabilities} of the training faces, each by a net that was trained without it.

    Parameters
    ----------
    recipe : Recipe
        Its `teachers` are combined; its targets and its `balance` are those of the small nets.
    samples : sequence of Sample
    folder : str
        Where the features of the published nets are kept.
    seed : int
    """
    features = np.concatenate([_standardized(name, samples, folder) for name in recipe.teachers], 1)
    labels = np.array([label_names(sample, recipe.gender_labels()) for sample in samples])
    targets = {"gender": _targets(recipe, "gender", labels[:, 1]), "age": _targets(recipe, "age", labels[:, 2])}
    cells = np.unique(labels[:, 3], return_inverse=True)[1]
    weights = (np.bincount(cells) ** -recipe.balance)[cells]
    fold = np.random.default_rng(seed).permutation(len(samples)) % FOLDS
    out = {task: np.empty(rows.shape, np.float32) for task, rows in targets.items()}
    for held_out in range(FOLDS):
        seen = fold != held_out
        net = _train(features[seen], {t: rows[seen] for t, rows in targets.items()}, weights[seen], seed + held_out)
        for task, rows in _probabilities(net, features[~seen], targets).items():
            out[task][~seen] = rows
    return out


def _standardized(name, samples, folder):
    rows = teacher_features.of(name, samples, folder)
    return ((rows - rows.mean(0)) / (rows.std(0) + 1e-3) / (rows.shape[1] / 256) ** 0.5).astype(np.float32)


def _targets(recipe, task, labels):
    classes = {net.task: len(net.labels) for net in recipe.nets()}[task]
    matrix = recipe.targets[task].matrix(classes)
    return (np.eye(classes, dtype=np.float32) if matrix is None else matrix)[labels]


def _train(features, targets, weights, seed):
    """Return a net of one hidden layer, trained by AdamW with a cosine schedule on faces drawn by `weights`."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = torch.nn.Sequential(
            torch.nn.Dropout(0.2),
            torch.nn.Linear(features.shape[1], HIDDEN),
            torch.nn.ReLU(),
            torch.nn.Dropout(DROPOUT),
            torch.nn.Linear(HIDDEN, sum(rows.shape[1] for rows in targets.values())),
        )
        optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
        steps = EPOCHS * (len(features) // BATCH)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        x, expected = torch.from_numpy(features), {t: torch.from_numpy(rows) for t, rows in targets.items()}
        drawn = torch.multinomial(torch.from_numpy(weights), steps * BATCH, True, generator=generator)
        for rows in drawn.view(steps, BATCH):
            loss = _loss(net(x[rows]), {task: values[rows] for task, values in expected.items()})
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def _loss(outputs, targets):
    """Cross entropy, summed over the tasks."""
    parts = outputs.split([rows.shape[1] for rows in targets.values()], 1)
    return sum(-(rows * part.log_softmax(1)).sum(1).mean() for rows, part in zip(targets.values(), parts))


def _probabilities(net, features, targets):
    with torch.no_grad():
        parts = net(torch.from_numpy(features)).split([rows.shape[1] for rows in targets.values()], 1)
    return {task: part.softmax(1).numpy() for task, part in zip(targets, parts)}
