"""Composite photographs: synthetic faces pasted at known positions, so that tests know the ground truth."""

import cv2
import numpy as np

from agegender import synthetic_faces

# Average position of the eyes in a synthetic face of 200x200 pixels (left, right as in the image).
EYES = np.array([[76, 98], [124, 98]]) / 200
FACE = 0.51  # width of the box of a synthetic face as a fraction of its side


def background(width, height, seed=0):
    """A smooth color gradient with a little noise, uint8 BGR."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(60, 200, (5, 7, 3)).astype(np.float32)
    soft = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(soft + rng.normal(0, 3, soft.shape), 0, 255).astype(np.uint8)


def photograph(width, height, placements, seed=0):
    """Compose an image with a face at each of `placements`: (left, top, side in pixels, rotation in degrees).

    Returns
    -------
    image : uint8 array of shape (height, width, 3), BGR
    matrices : list of arrays of shape (2, 3)
        One per face; maps points of the aligned face (0..1) to pixels of the image.
    """
    image, matrices = background(width, height, seed), []
    for number, (left, top, side, angle) in enumerate(placements):
        chip = synthetic_faces.draw(20 + 7 * number, number % 2 == 0, (seed, number))
        matrices.append(paste(image, chip, left, top, side, angle))
    return image, matrices


def paste(image, chip, left, top, side, angle=0):
    """Paste `chip` into `image`, rotated around its center; returns its matrix (see `photograph`)."""
    chip = cv2.resize(chip, (side, side), interpolation=cv2.INTER_AREA if side < 200 else cv2.INTER_CUBIC)
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), angle, 1.0)
    matrix[:, 2] += left, top
    size = image.shape[1::-1]
    mask = cv2.warpAffine(np.full((side, side), 255, np.uint8), matrix, size) > 127
    image[mask] = cv2.warpAffine(chip, matrix, size)[mask]
    return np.c_[matrix[:, :2] * side, matrix[:, 2]]


def eyes(matrix):
    """Eyes of a face in pixels of the image, (2, 2)."""
    return EYES @ matrix[:, :2].T + matrix[:, 2]


def matched(faces, matrices):
    """The detected Face nearest to each pasted one; asserts that the eyes agree within half their distance."""
    matches = []
    for matrix in matrices:
        truth = eyes(matrix)
        nearest = min(faces, key=lambda face: np.abs(face.landmarks[:2] - truth).max())
        assert np.abs(nearest.landmarks[:2] - truth).max() < 0.5 * np.linalg.norm(truth[1] - truth[0]), (nearest, truth)
        matches.append(nearest)
    assert len({id(face) for face in matches}) == len(matrices)
    return matches
