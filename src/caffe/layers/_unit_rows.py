"""Weights of caffe-windows whose rows are divided by their length."""

from __future__ import annotations

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import TRAIN, Tensor

_EPS = 1e-6


def unit_rows(weight: Tensor, phase: int) -> Tensor:
    """Return `weight` with each row divided by sqrt(sum of squares + 1e-6).

    In TRAIN, the weight itself is changed, as in the fork, and no gradient flows through the division.
    """
    with torch.no_grad():
        lengths = (weight.square().sum(1, keepdim=True) + _EPS).sqrt()
        if phase == TRAIN:
            weight.div_(lengths)
            return weight
    return weight + (weight / lengths - weight).detach()


def unit_rows_of(weight: np.ndarray) -> np.ndarray:
    """Return the same for an array."""
    return weight / np.sqrt(np.square(weight, dtype=np.float32).sum(1, keepdims=True) + np.float32(_EPS))
