"""Copies of photographs in another collection: cropped, rotated, mirrored, resized, brightened, grey or compressed.

`near_duplicates` compares images of one collection, which are framed alike. Here every face is detected and aligned
first. The coarse appearance of slightly moved variants proposes a few candidates; each is registered by an affine
transform (Evangelidis and Psarakis 2008, ECC), and the correlation of the fine structure decides.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from agegender.datasets.sample import Sample
from agegender.inference import yunet
from agegender.inference.faces import face_crop
from caffe.device.image_file import read_image

# Correlation of the registered fine structures above which two images are one photograph. Of 300 copies of UTKFace's
# faces (see the test) 272 reach it among 3,000 others, and 3 of 150 other faces, of which two are copies.
ALIKE = 0.74
SIDE, MIDDLE = 96, slice(14, -14)  # pixels of an aligned face, and the part that is compared
COARSE, COARSE_MIDDLE = 24, slice(4, -4)  # the same when candidates are looked for
CANDIDATES = 8
ANGLES, SCALES, SHIFTS = (-6.0, 0.0, 6.0), (0.9, 1.0, 1.1), (-2, -1, 0, 1, 2)  # of the variants
STARTS = ((0.0, 0.87), (0.0, 1.15), (-9.0, 1.0), (9.0, 1.0))  # angles and scales, for the first RETRIED candidates
RETRIED = 2
ROWS = 128  # faces per block
DETECTION_SIDE, DETECTION_BORDER, DETECTION_THRESHOLD = 160, 0.2, 0.5  # of the image that the detector sees
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)


def copies_among(samples: Sequence[Sample], others: Sequence[Sample], jobs: int | None = None) -> dict[str, str]:
    """Find the samples whose photograph is in another collection.

    Parameters
    ----------
    samples, others : sequence of Sample
        Their paths must be images that OpenCV can read.
    jobs : int, optional
        Number of threads that read images; all cores by default.

    Returns
    -------
    dict
        {path of a sample: path of its copy in `others`}, for the samples that have one.
    """
    found: dict[str, str] = {}
    if not samples or not others:
        return found
    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        chip = AlignedChip()
        references = np.stack(list(pool.map(chip, [other.path for other in others])))
        coarse = [_coarse(rows)[:, COARSE_MIDDLE, COARSE_MIDDLE] for rows in (references, references[:, :, ::-1])]
        matrices = [_normalized(rows).T for rows in coarse]
        for start in range(0, len(samples), ROWS):
            block = list(samples[start : start + ROWS])
            chips = np.stack(list(pool.map(chip, [sample.path for sample in block])))
            for row, columns in enumerate(_candidates(chips, matrices)):
                scores = [registered_similarity(chips[row], references[column]) for column in columns]
                if scores and max(scores) < ALIKE:  # registration may have needed another start
                    scores[:RETRIED] = [
                        max(registered_similarity(chips[row], references[column], start) for start in STARTS)
                        for column in columns[:RETRIED]
                    ]
                if scores and max(scores) >= ALIKE:
                    found[block[row].path] = others[columns[int(np.argmax(scores))]].path
    return found


class AlignedChip:
    """The largest face of an image file, aligned by its landmarks, in grey; the whole image if no face is found."""

    def __init__(self) -> None:
        self.local = threading.local()

    def __call__(self, path: str) -> np.ndarray:
        """Return the uint8 chip (SIDE, SIDE) of an image file."""
        image = read_image(path)
        landmarks = self._landmarks(image)
        chip = image if landmarks is None else face_crop.aligned(image, landmarks)
        return cv2.cvtColor(cv2.resize(chip, (SIDE, SIDE), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)

    def _landmarks(self, image: np.ndarray) -> np.ndarray | None:
        if not hasattr(self.local, "net"):
            self.local.net = yunet.YuNet(DETECTION_THRESHOLD)
        border = int(DETECTION_BORDER * max(image.shape[:2]))
        framed = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REPLICATE)
        factor = DETECTION_SIDE / max(framed.shape[:2])
        rows = self.local.net.rows(cv2.resize(framed, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))
        if not len(rows):
            return None
        largest = rows[np.argmax(rows[:, 2] * rows[:, 3])]
        return largest[4:14].reshape(5, 2) / factor - border


def _candidates(chips: np.ndarray, matrices: Sequence[np.ndarray]) -> Iterator[list[int]]:
    """Yield the columns of the most similar references for each chip, over all variants and both mirror images."""
    best = np.full((len(chips), matrices[0].shape[1]), -1, np.float32)
    center = ((SIDE - 1) / 2, (SIDE - 1) / 2)
    for angle in ANGLES:
        for scale in SCALES:
            matrix = cv2.getRotationMatrix2D(center, angle, scale)
            moved = [cv2.warpAffine(chip, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE) for chip in chips]
            coarse = _coarse(np.stack(moved))
            for down in SHIFTS:
                for right in SHIFTS:
                    shifted = np.roll(coarse, (down, right), (1, 2))[:, COARSE_MIDDLE, COARSE_MIDDLE]
                    for reference in matrices:
                        np.maximum(best, _normalized(shifted) @ reference, out=best)
    for row in best:
        yield np.argsort(-row)[:CANDIDATES].tolist()


def _coarse(chips: np.ndarray) -> np.ndarray:
    """Return the coarse appearance without slow changes of brightness, float32 (N, COARSE, COARSE)."""
    out = []
    for chip in chips:
        band = _band(np.ascontiguousarray(chip, np.float32), 1.5, 24)
        out.append(
            cv2.resize(np.clip(band / (band.std() + 1), -2.5, 2.5), (COARSE, COARSE), interpolation=cv2.INTER_AREA)
        )
    return np.stack(out)


def _band(image: np.ndarray, fine: float, coarse: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), fine) - cv2.GaussianBlur(image, (0, 0), coarse)


def _normalized(rows: np.ndarray) -> np.ndarray:
    """Return vectors (N, values) of mean 0 and length 1; zero for images without structure."""
    rows = rows.reshape(len(rows), -1)
    rows = rows - rows.mean(1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-3)


def registered_similarity(one: np.ndarray, other: np.ndarray, start: tuple[float, float] = (0.0, 1.0)) -> float:
    """Return the correlation of the fine structures of two chips after registration, of the better mirror image.

    Parameters
    ----------
    one, other : uint8 arrays (SIDE, SIDE)
    start : (float, float)
        Angle in degrees and scale from which the registration starts.
    """
    image, best = one.astype(np.float32), -1.0
    for reference in (other, other[:, ::-1]):
        reference = np.ascontiguousarray(reference, np.float32)
        warp = cv2.getRotationMatrix2D((SIDE / 2 - 0.5, SIDE / 2 - 0.5), *start).astype(np.float32)
        bands = _band(image, 1.5, 12), _band(reference, 1.5, 12)
        if min(band.std() for band in bands) < 0.1:
            continue  # no structure
        try:
            cv2.findTransformECC(*bands, warp, cv2.MOTION_AFFINE, _STOP, None, 5)  # type: ignore[call-overload]
        except cv2.error:  # it does not converge: the images are too different
            continue
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        registered = cv2.warpAffine(reference, warp, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        one_fine, other_fine = (_band(chip, 1.0, 4)[MIDDLE, MIDDLE].ravel() for chip in (image, registered))
        if min(one_fine.std(), other_fine.std()) > 0.1:
            best = max(best, float(np.corrcoef(one_fine, other_fine)[0, 1]))
    return best
