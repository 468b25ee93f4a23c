"""SSD's batch samplers: random windows of an image that satisfy conditions on the boxes in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from caffe.data.boxes import geometry


def windows(samplers: Sequence[Any], boxes: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the windows (xmin, ymin, xmax, ymax) that the BatchSamplers choose.

    Parameters
    ----------
    samplers : sequence of BatchSampler
        Each tries max_trials windows and contributes at most max_sample.
    boxes : ndarray (n, 4)
        The boxes of the image.
    rng : numpy Generator

    Returns
    -------
    list of ndarray (4)
    """
    found: list[np.ndarray] = []
    for sampler in samplers:
        if sampler.use_original_image:
            found += _windows(sampler, boxes, rng)
    return found


def _windows(sampler, boxes, rng):
    found: list[np.ndarray] = []
    for _ in range(sampler.max_trials):
        if sampler.HasField("max_sample") and len(found) >= sampler.max_sample:
            break
        window = random_window(sampler.sampler, rng)
        if satisfies(window, boxes, sampler.sample_constraint):
            found.append(window)
    return found


def random_window(sampler: Any, rng: np.random.Generator) -> np.ndarray:
    """Return a window of random scale, aspect ratio and position inside the image."""
    scale = rng.uniform(sampler.min_scale, sampler.max_scale)
    aspect = rng.uniform(sampler.min_aspect_ratio, sampler.max_aspect_ratio)
    aspect = min(max(aspect, scale**2), 1 / scale**2)
    width, height = scale * math.sqrt(aspect), scale / math.sqrt(aspect)
    left, top = rng.uniform(0, max(1 - width, 0)), rng.uniform(0, max(1 - height, 0))
    return np.array([left, top, left + width, top + height], np.float32)


def satisfies(window: np.ndarray, boxes: np.ndarray, constraint: Any) -> bool:
    """Return whether one of `boxes` (n, 4) satisfies all conditions of a SampleConstraint; True without conditions."""
    shared = geometry.intersections(window, boxes)
    own, sizes = geometry.areas(window), geometry.areas(boxes)
    values = {
        "jaccard_overlap": geometry.ratio(shared, own + sizes - shared),
        "sample_coverage": geometry.ratio(shared, np.full_like(shared, own)),
        "object_coverage": geometry.ratio(shared, sizes),
    }
    given = [n for n in values if constraint.HasField("min_" + n) or constraint.HasField("max_" + n)]
    fits = np.ones(len(boxes), bool)
    for name in given:
        if constraint.HasField("min_" + name):
            fits &= values[name] >= getattr(constraint, "min_" + name)
        if constraint.HasField("max_" + name):
            fits &= values[name] <= getattr(constraint, "max_" + name)
    return not given or bool(fits.any())
