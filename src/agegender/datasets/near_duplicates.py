"""Near-duplicates: the same photograph in different files, saved again, resized, mirrored or cropped differently.

`duplicates` finds equal files; a near-duplicate leaks its label from training to test just as well. The comparison uses
the fine structure (what a Gaussian blur removes), because aligned faces all share the same coarse structure.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from agegender.datasets.sample import Sample
from caffe.device.image_file import read_image

# Correlation of the fine structures above which two images are near-duplicates. Among UTKFace's Asian faces every pair
# above 0.85 that was inspected is one; different photographs reach 0.84 for one person and 0.83 for two people.
ALIKE = 0.85
SIDE, SHIFT = 64, 6  # pixels: size at which images are compared, largest shift between them
BLUR = 3.0  # standard deviation in pixels, at size SIDE
COARSE, CANDIDATE = 32, 0.65  # size and unshifted correlation of the first pass; near-duplicates have 0.77 and more
ROWS = 256  # images per block of the first pass


def near_duplicates_across(samples: list[Sample], others: list[Sample], jobs: int | None = None) -> dict[str, str]:
    """Find the near-duplicates of `samples` among `others`.

    The first pass costs 4 kflop per pair; about one pair in ten thousand is compared closely.

    Parameters
    ----------
    samples, others : list of Sample
        Their paths must be images that OpenCV can read.
    jobs : int, optional
        Number of threads that read images; all cores by default.

    Returns
    -------
    dict
        {path of a sample: path of its most similar near-duplicate}, for the samples that have one.
    """
    best: dict[int, tuple[float, int]] = {}
    for row, column, similarity in _similar_rows(structures(samples, jobs), structures(others, jobs)):
        if similarity >= best.get(row, (0.0, -1))[0]:
            best[row] = similarity, column
    return {samples[row].path: others[column].path for row, (_, column) in sorted(best.items())}


def near_duplicate_pairs(samples: list[Sample], jobs: int | None = None) -> list[tuple[Sample, Sample, float]]:
    """Find all pairs of near-duplicates and exact duplicates in `samples`.

    Returns
    -------
    list of (Sample, Sample, float)
        Each pair once with its similarity, most similar first.
    """
    pairs: dict[tuple[int, int], float] = {}
    all_structures = structures(samples, jobs)
    for row, column, similarity in _similar_rows(all_structures, all_structures):
        if row < column:
            pairs[row, column] = max(similarity, pairs.get((row, column), 0.0))
    order = sorted(pairs, key=lambda pair: (-pairs[pair], pair))
    return [(samples[row], samples[column], pairs[row, column]) for row, column in order]


def structures(samples: list[Sample], jobs: int | None = None) -> np.ndarray:
    """Fine structure of each image in grayscale, float32 of shape (N, SIDE, SIDE)."""
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        arrays = list(pool.map(_structure, [sample.path for sample in samples]))
    return np.array(arrays, np.float32).reshape(-1, SIDE, SIDE)


def _structure(path):
    image = cv2.resize(read_image(path, cv2.IMREAD_GRAYSCALE), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    gray = image.astype(np.float32)
    return gray - cv2.GaussianBlur(gray, (0, 0), BLUR)


def _similar_rows(queries, references):
    """Yield (query row, reference row, similarity) of near-duplicates; a pair may occur twice, plain and mirrored."""
    variants = [(variant, _normalized(variant)) for variant in (references, references[:, :, ::-1])]
    for start in range(0, len(queries), ROWS):
        left = _normalized(queries[start : start + ROWS])
        for variant, right in variants:
            for row, column in zip(*np.nonzero(left @ right.T > CANDIDATE)):
                score = similarity(queries[start + row], variant[column])
                if score >= ALIKE:
                    yield int(start + row), int(column), score


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    """Best correlation of two structures when one is shifted by up to SHIFT pixels in each direction."""
    inner = np.ascontiguousarray(one[SHIFT:-SHIFT, SHIFT:-SHIFT])
    return float(cv2.matchTemplate(np.ascontiguousarray(other), inner, cv2.TM_CCOEFF_NORMED).max())


def _normalized(structures):
    """(N, COARSE * COARSE) vectors of mean 0 and length 1; zero for images without structure."""
    factor = SIDE // COARSE
    small = structures.reshape(-1, COARSE, factor, COARSE, factor).mean((2, 4)).reshape(-1, COARSE * COARSE)
    small = small - small.mean(1, keepdims=True)
    return small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-3)
