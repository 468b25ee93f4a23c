"""The cost of labels by the sum over all paths; the reference of the CTC losses."""

import itertools
import math

import numpy as np


def cost(scores, labels, blank):
    """Return -log of the probability that a path of classes, one per step, gives `labels`; None if there is none."""
    chances = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    total = 0.0
    for path in itertools.product(range(scores.shape[1]), repeat=len(scores)):
        merged = [c for i, c in enumerate(path) if i == 0 or c != path[i - 1]]
        if [c for c in merged if c != blank] == list(labels):
            total += math.prod(chances[i, c] for i, c in enumerate(path))
    return -math.log(total) if total else None
