"""Near-twins: pictures of one photograph in different files, of which one was saved anew, resized, mirrored or cut otherwise.

`duplicates` finds equal files; a net that has learned a near-twin knows the answer just as well. What is compared is the fine
structure (what a Gaussian blur takes away), since aligned faces are all alike in the coarse one.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from caffe.device.image_file import read_image

# Correlations of the fine structure from which two pictures are one photograph. Among UTKFace's Asian faces every pair above
# 0.85 that was looked at is; different photographs of one person come up to 0.84, of two people to 0.83.
ALIKE = 0.85
SIDE, SHIFT = 64, 6  # pixels: what pictures are compared at, and how far one may be moved against the other
BLUR = 3.0  # deviation, in pixels of SIDE
COARSE, CANDIDATE = (
    32,
    0.65,
)  # side and correlation, unmoved, below which no pair is looked at closely; twins have 0.77 and more
ROWS = 256  # pictures compared with all others at a time


def near_duplicates_across(samples, others, jobs=None):
    """{path of a sample: path of its likest near-twin among `others`}, for the samples that have one.

    All paths must be pictures that OpenCV reads. Takes 4 kflop a pair, and a closer look at one pair in ten thousand.
    """
    best = {}
    for row, column, similarity in _alike_rows(structures(samples, jobs), structures(others, jobs)):
        if similarity >= best.get(row, (0.0, None))[0]:
            best[row] = similarity, column
    return {samples[row].path: others[column].path for row, (_, column) in sorted(best.items())}


def near_duplicate_pairs(samples, jobs=None):
    """[(sample, another, likeness)] of all pairs of near-twins and of equal pictures, each pair once, the likest first."""
    found = {}
    all_of_them = structures(samples, jobs)
    for row, column, similarity in _alike_rows(all_of_them, all_of_them):
        if row < column:
            found[row, column] = max(similarity, found.get((row, column), 0.0))
    order = sorted(found, key=lambda pair: (-found[pair], pair))
    return [(samples[row], samples[column], found[row, column]) for row, column in order]


def structures(samples, jobs=None):
    """float32 (N, SIDE, SIDE): the fine structure of each picture in grey."""
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        read = list(pool.map(_structure, [sample.path for sample in samples]))
    return np.array(read, np.float32).reshape(-1, SIDE, SIDE)


def _structure(path):
    grey = cv2.resize(read_image(path, cv2.IMREAD_GRAYSCALE), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    grey = grey.astype(np.float32)
    return grey - cv2.GaussianBlur(grey, (0, 0), BLUR)


def _alike_rows(ours, theirs):
    """Yield (row of `ours`, row of `theirs`, likeness) of near-twins, maybe twice: as they are and mirrored."""
    sides = [(each, _unit(each)) for each in (theirs, theirs[:, :, ::-1])]
    for start in range(0, len(ours), ROWS):
        left = _unit(ours[start : start + ROWS])
        for others, right in sides:
            for row, column in zip(*np.nonzero(left @ right.T > CANDIDATE)):
                similarity = alike(ours[start + row], others[column])
                if similarity >= ALIKE:
                    yield int(start + row), int(column), similarity


def alike(one, other):
    """Correlation of two structures, where one is moved over the other by up to SHIFT pixels."""
    inner = np.ascontiguousarray(one[SHIFT:-SHIFT, SHIFT:-SHIFT])
    return float(cv2.matchTemplate(np.ascontiguousarray(other), inner, cv2.TM_CCOEFF_NORMED).max())


def _unit(structures):
    """(N, COARSE * COARSE) of mean 0 and length 1 each; of pictures without structure all 0."""
    small = (
        structures.reshape(-1, COARSE, SIDE // COARSE, COARSE, SIDE // COARSE).mean((2, 4)).reshape(-1, COARSE * COARSE)
    )
    small = small - small.mean(1, keepdims=True)
    return small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-3)
