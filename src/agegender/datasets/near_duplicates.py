"""Near-duplicates: the same photograph in different files, saved again, resized, mirrored or cropped differently.

`duplicates` finds equal files; a near-duplicate leaks its label from training to test just as well. The comparison uses
the fine structure (what a Gaussian blur removes), because aligned faces all share the same coarse structure.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from agegender.datasets.sample import Sample
from caffe.data.parallel_map import cores, ordered_map
from caffe.device.image_file import read_image

# Correlation of the fine structures above which two images are near-duplicates. Among UTKFace's Asian faces every pair
# above 0.85 that was inspected is one; different photographs reach 0.84 for one person and 0.83 for two people.
ALIKE = 0.85
SIDE, SHIFT = 64, 6  # pixels: size at which images are compared, largest shift between them
BLUR = 3.0  # standard deviation in pixels, at size SIDE
COARSE, CANDIDATE = 32, 0.65  # size and unshifted correlation of the first pass; near-duplicates have 0.77 and more
ROWS, COLUMNS = 4096, 1024  # images per block of the first pass
IN_MEMORY = 256 << 20  # bytes of small images, beyond which they are in a temporary file


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
    with structures(samples, jobs) as queries, structures(others, jobs) as references:
        for row, column, similarity in similar_rows(queries, references):
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
    with structures(samples, jobs) as found:
        for row, column, similarity in similar_rows(found, found):
            if row < column:
                pairs[row, column] = max(similarity, pairs.get((row, column), 0.0))
    order = sorted(pairs, key=lambda pair: (-pairs[pair], pair))
    return [(samples[row], samples[column], pairs[row, column]) for row, column in order]


class Structures:
    """The fine structures of images; slices of it are float32 arrays (n, SIDE, SIDE).

    Small grayscale images are kept, 4 KB each, in a temporary file if they are many: any number takes bounded memory.
    """

    def __init__(self) -> None:
        self._count = 0
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115  __exit__ closes it

    def append(self, image: np.ndarray) -> None:
        """Add a grayscale image, uint8 (H, W)."""
        self._file.seek(0, os.SEEK_END)
        self._file.write(_small(image))
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, end, _ = rows.indices(self._count)
        self._file.seek(start * SIDE * SIDE)
        images = np.frombuffer(self._file.read((end - start) * SIDE * SIDE), np.uint8).reshape(-1, SIDE, SIDE)
        found = images.astype(np.float32)
        for image in found:
            image -= cv2.GaussianBlur(image, (0, 0), BLUR)
        return found

    def __enter__(self) -> Structures:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


def structures(samples: Sequence[Sample], jobs: int | None = None) -> Structures:
    """Return the fine structures of image files, which `jobs` threads read (all cores by default)."""
    found, workers = Structures(), jobs or cores()
    for image in ordered_map(_read_small, [sample.path for sample in samples], workers, 16 * workers):
        found.append(image)
    return found


def _read_small(path):
    return _small(read_image(path, cv2.IMREAD_GRAYSCALE))


def _small(image):
    return cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def similar_rows(queries: Structures, references: Structures) -> Iterator[tuple[int, int, float]]:
    """Yield (query row, reference row, similarity) of near-duplicates; a pair may occur twice, plain and mirrored."""
    for start in range(0, len(queries), ROWS):
        rows = queries[start : start + ROWS]
        left = _normalized(rows)
        for first in range(0, len(references), COLUMNS):
            columns = references[first : first + COLUMNS]
            for variant in (columns, columns[:, :, ::-1]):
                for row, column in zip(*np.nonzero(left @ _normalized(variant).T > CANDIDATE)):
                    score = similarity(rows[row], variant[column])
                    if score >= ALIKE:
                        yield int(start + row), int(first + column), score


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
