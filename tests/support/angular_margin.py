"""The logits of SphereFace and L-Softmax from angles; the reference of the margin layers."""

import math

import numpy as np


def logits(x, labels, weights, margin, weight):
    """Return the logits; the gradient of the weights is that of the definition."""
    y = np.zeros((len(x), len(weights)))
    for i, j in np.ndindex(y.shape):
        norms = np.linalg.norm(x[i]) * np.linalg.norm(weights[j])
        cosine = x[i] @ weights[j] / norms
        y[i, j] = plain = norms * cosine
        if margin > 1:
            if j == int(labels[i]):
                angle = math.acos(cosine)
                interval = math.floor(margin * angle / math.pi)
                y[i, j] = norms * ((-1) ** interval * math.cos(margin * angle) - 2 * interval)
            y[i, j] = (y[i, j] + weight * plain) / (1 + weight)
    return y
