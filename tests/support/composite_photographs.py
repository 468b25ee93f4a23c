"""Photographs made by a program: drawn faces pasted at known places, so that a test knows the truth."""

import cv2
import numpy as np

from agegender import synthetic_faces

# Where, in a drawn chip of 200 pixels, the eyes lie on average (left, right as the picture shows them).
EYES = np.array([[76, 98], [124, 98]]) / 200
FACE = 0.51  # width of a drawn face's box as a share of its chip


def background(width, height, seed=0):
    """Soft colours with a little grain."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(60, 200, (5, 7, 3)).astype(np.float32)
    soft = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(soft + rng.normal(0, 3, soft.shape), 0, 255).astype(np.uint8)


def photograph(width, height, places, seed=0):
    """A picture (uint8 BGR) with a face at each of `places`: (left, top, side of the chip, degrees it is turned).

    Returns it and a 2x3 matrix a face, which takes a point of its chip (0..1 across) into the picture.
    """
    picture, matrices = background(width, height, seed), []
    for number, (left, top, side, angle) in enumerate(places):
        chip = synthetic_faces.draw(20 + 7 * number, number % 2 == 0, (seed, number))
        matrices.append(paste(picture, chip, left, top, side, angle))
    return picture, matrices


def paste(picture, chip, left, top, side, angle=0):
    """Put `chip` into `picture`, turned around its centre; returns its matrix."""
    chip = cv2.resize(chip, (side, side), interpolation=cv2.INTER_AREA if side < 200 else cv2.INTER_CUBIC)
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), angle, 1.0)
    matrix[:, 2] += left, top
    size = picture.shape[1::-1]
    mask = cv2.warpAffine(np.full((side, side), 255, np.uint8), matrix, size) > 127
    picture[mask] = cv2.warpAffine(chip, matrix, size)[mask]
    return np.c_[matrix[:, :2] * side, matrix[:, 2]]


def eyes(matrix):
    """Where a face's eyes lie in the picture, (2, 2)."""
    return EYES @ matrix[:, :2].T + matrix[:, 2]


def matched(found, matrices):
    """For each face the Face whose eyes are nearest to its own, which must be within half their distance."""
    told = []
    for matrix in matrices:
        truth = eyes(matrix)
        near = min(found, key=lambda face: np.abs(face.landmarks[:2] - truth).max())
        assert np.abs(near.landmarks[:2] - truth).max() < 0.5 * np.linalg.norm(truth[1] - truth[0]), (near, truth)
        told.append(near)
    assert len({id(face) for face in told}) == len(matrices)
    return told
