"""Gaussian filtering of values at points of few dimensions, on the permutohedral lattice (Adams et al. 2010)."""

from __future__ import annotations

from typing import Any

import numpy as np

from caffe.core.lazy_torch import torch
from caffe.layers.base import Tensor


class Lattice:
    """The lattice for a set of points; it is a linear filter of values at the points.

    Parameters
    ----------
    features : array of float, points x dimensions
        The positions, divided by the standard deviations of the Gaussian.
    """

    def __init__(self, features: np.ndarray) -> None:
        corners, self.weights = _corners_and_weights(np.asarray(features, np.float64))
        d = corners.shape[2]
        low = corners.min((0, 1)) - d
        factors = _place_values(corners.max((0, 1)) + d + 1 - low)
        codes, inverse = np.unique((corners - low).reshape(-1, d) @ factors, return_inverse=True)
        self.count, self.vertices = len(codes), inverse.reshape(corners.shape[:2])
        self.neighbours = [_neighbours(codes, _step(d, axis) @ factors) for axis in range(d + 1)]
        self._tensors: Any = None

    def filter(self, values: Tensor) -> Tensor:
        """Return the filtered `values`, points x channels; the gradient for them is exact."""
        weights, vertices, neighbours = self._on(values)
        channels = values.shape[1]
        spread = (values[:, None] * weights[..., None]).reshape(-1, channels)
        # one vertex more, whose value is always 0, stands for the missing ones
        grid = values.new_zeros((self.count + 1, channels)).index_add(0, vertices, spread)
        for before, after in neighbours:
            inner = grid[:-1] + 0.5 * (grid[before] + grid[after])
            grid = torch.cat([inner, grid[-1:]])
        return (grid[vertices].reshape(*weights.shape, channels) * weights[..., None]).sum(1)

    def _on(self, values):
        """Return weights, vertices and neighbours as tensors for the type and device of `values`."""
        if self._tensors is None:
            pairs = [tuple(torch.from_numpy(side).to(values.device) for side in pair) for pair in self.neighbours]
            vertices = torch.from_numpy(self.vertices.ravel()).to(values.device)
            self._tensors = torch.from_numpy(self.weights).to(values), vertices, pairs
        return self._tensors


def _corners_and_weights(features):
    """Return the corners (points x (d + 1) x d) of the simplex around each point and their barycentric weights."""
    count, d = features.shape
    scaled = features * (np.sqrt(2 / 3) * (d + 1) / np.sqrt(np.arange(1, d + 1) * np.arange(2, d + 2)))
    following = np.cumsum(scaled[:, ::-1], axis=1)[:, ::-1]  # sums from each dimension to the last
    elevated = np.zeros((count, d + 1))
    elevated[:, :-1] = following
    elevated[:, 1:] -= np.arange(1, d + 1) * scaled
    rest, rank = _nearest_zero_point(elevated)
    shifted = (elevated - rest) / (d + 1)
    weights, rows = np.zeros((count, d + 2)), np.arange(count)[:, None]
    np.add.at(weights, (rows, d - rank), shifted)
    np.add.at(weights, (rows, d + 1 - rank), -shifted)
    weights[:, 0] += 1 + weights[:, d + 1]
    remainder = np.arange(d + 1)[:, None]
    canonical = np.where(np.arange(d + 1) <= d - remainder, remainder, remainder - (d + 1))
    corners = rest[:, None, :-1] + canonical[:, rank[:, :-1]].transpose(1, 0, 2)
    return corners.astype(np.int64), weights[:, : d + 1]


def _nearest_zero_point(elevated):
    """Return the nearest lattice point of remainder 0, and the rank of each coordinate of the difference to it."""
    size = elevated.shape[1]
    below, above = (function(elevated / size) * size for function in (np.floor, np.ceil))
    rest = np.where(above - elevated < elevated - below, above, below)
    surplus = np.round(rest.sum(1) / size).astype(np.int64)
    difference = elevated - rest
    earlier = np.tri(size, k=-1, dtype=bool)  # of equal differences, the first one has the lowest rank
    larger = difference[:, None, :] > difference[:, :, None]
    equal = difference[:, None, :] == difference[:, :, None]
    rank = (larger | (equal & earlier)).sum(2)
    rank += surplus[:, None]
    low, high = rank < 0, rank >= size
    rank = rank + size * (low.astype(np.int64) - high)
    return (rest + size * (low.astype(np.float64) - high)).astype(np.int64), rank


def _place_values(spans):
    """Return factors that code corners with coordinates in 0 .. spans - 1 as different numbers."""
    factors = [1]
    for span in spans[:0:-1]:
        factors.insert(0, factors[0] * int(span))
    if factors[0] * int(spans[0]) >= 2**62:
        raise OverflowError("the features are spread too far")
    return np.array(factors, np.int64)


def _step(d, axis):
    """Return the step to the next vertex along one of the d + 1 axes."""
    step = np.ones(d, np.int64)
    if axis < d:
        step[axis] = -d
    return step


def _neighbours(codes, step):
    """Return for each vertex the numbers of its two neighbours; len(codes) if there is none."""
    found = []
    for wanted in (codes - step, codes + step):
        place = np.searchsorted(codes, wanted).clip(max=len(codes) - 1)
        found.append(np.where(codes[place] == wanted, place, len(codes)))
    return found
