"""Cutting faces out: the similarity is the least-squares one, and an aligned chip is the chip that was pasted."""

import cv2
import numpy as np
import pytest
from support import composite_photographs

from agegender import synthetic_faces
from agegender.errors import AgeGenderError
from agegender.inference import face_crop


def solved(points, targets):
    """The similarity by NumPy's general least squares: x' = a x - b y + c, y' = b x + a y + d."""
    rows, values = [], []
    for (x, y), (u, v) in zip(points, targets):
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
        values += [u, v]
    a, b, c, d = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0]
    return np.array([[a, -b, c], [b, a, d]])


def test_similarity_is_the_least_squares_one():
    rng = np.random.default_rng(0)
    for _ in range(20):
        points, targets = rng.uniform(-100, 500, (2, 5, 2))
        np.testing.assert_allclose(face_crop.similarity(points, targets), solved(points, targets), rtol=1e-9, atol=1e-9)


def test_landmarks_that_are_one_point_make_no_face():
    with pytest.raises(AgeGenderError, match="make no face"):
        face_crop.similarity(np.full((5, 2), 7.0), face_crop.UTKFACE)


@pytest.mark.parametrize("angle", [0, 25, -60, 180])
@pytest.mark.parametrize("side", [90, 200, 700])
def test_an_aligned_chip_is_the_chip_that_was_pasted(side, angle):
    chip = cv2.GaussianBlur(synthetic_faces.draw(30, False, 3), (0, 0), 3)
    picture = composite_photographs.background(1000, 1000)
    matrix = composite_photographs.paste(picture, chip, 150, 150, side, angle)
    landmarks = np.array(face_crop.ADIENCE) @ matrix[:, :2].T + matrix[:, 2]  # any five points will do
    again = face_crop.aligned(picture, landmarks, face_crop.ADIENCE)
    assert again.shape == (200, 200, 3)
    difference = np.abs(again[10:-10, 10:-10].astype(int) - chip[10:-10, 10:-10])
    assert difference.mean() < 2.5 and np.percentile(difference, 99) < 20


def test_the_margin_shows_more_on_each_side_and_leaves_the_face_where_it_was():
    picture, (matrix,) = composite_photographs.photograph(600, 500, [(200, 150, 150, 10)])
    landmarks = np.array(face_crop.UTKFACE) @ matrix[:, :2].T + matrix[:, 2]
    tight, wide = face_crop.aligned(picture, landmarks), face_crop.aligned(picture, landmarks, margin=0.4)
    assert wide.shape == (360, 360, 3)
    assert np.abs(wide[80:280, 80:280].astype(int) - tight).max() <= 1


def test_what_leaves_the_picture_repeats_its_border():
    picture = np.zeros((50, 60, 3), np.uint8)
    picture[:, 0], picture[:, -1] = (10, 20, 30), (200, 210, 220)
    landmarks = np.array(face_crop.UTKFACE) * 40 + [10, 5]
    chip = face_crop.aligned(picture, landmarks, margin=2.0)
    assert (chip[500, 5] == (10, 20, 30)).all() and (chip[500, -5] == (200, 210, 220)).all()
    grey = face_crop.aligned(picture[..., 0], landmarks)
    assert grey.shape == (200, 200)


def test_templates_are_faces():
    for template in (face_crop.UTKFACE, face_crop.ADIENCE):
        (lx, ly), (rx, ry), (nx, ny), (mx, my), (ox, oy) = template
        assert lx < nx < rx and mx < nx < ox and ly < ny < my and abs(ly - ry) < 0.01 and abs(my - oy) < 0.01
