"""Face crops: the similarity transform is the least-squares solution, and alignment recovers a pasted face."""

import cv2
import numpy as np
import pytest
from support import composite_photographs

from agegender import synthetic_faces
from agegender.errors import AgeGenderError
from agegender.inference.faces import face_crop


def least_squares_similarity(points, targets):
    """The similarity transform by NumPy's general least squares: x' = a x - b y + c, y' = b x + a y + d."""
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
        expected = least_squares_similarity(points, targets)
        np.testing.assert_allclose(face_crop.similarity(points, targets), expected, rtol=1e-9, atol=1e-9)


def test_coinciding_landmarks_are_refused():
    with pytest.raises(AgeGenderError, match=r"coincide at \(7, 7\)"):
        face_crop.similarity(np.full((5, 2), 7.0), face_crop.UTKFACE)


@pytest.mark.parametrize("angle", [0, 25, -60, 180])
@pytest.mark.parametrize("side", [90, 200, 700])
def test_alignment_recovers_the_pasted_face(side, angle):
    chip = cv2.GaussianBlur(synthetic_faces.draw(30, False, 3), (0, 0), 3)
    image = composite_photographs.background(1000, 1000)
    matrix = composite_photographs.paste(image, chip, 150, 150, side, angle)
    landmarks = np.array(face_crop.ADIENCE) @ matrix[:, :2].T + matrix[:, 2]  # any five points will do
    recovered = face_crop.aligned(image, landmarks, face_crop.ADIENCE)
    assert recovered.shape == (200, 200, 3)
    difference = np.abs(recovered[10:-10, 10:-10].astype(int) - chip[10:-10, 10:-10])
    assert difference.mean() < 2.5 and np.percentile(difference, 99) < 20


def test_margin_shows_more_on_each_side_without_moving_the_face():
    image, (matrix,) = composite_photographs.photograph(600, 500, [(200, 150, 150, 10)])
    landmarks = np.array(face_crop.UTKFACE) @ matrix[:, :2].T + matrix[:, 2]
    tight, wide = face_crop.aligned(image, landmarks), face_crop.aligned(image, landmarks, margin=0.4)
    assert wide.shape == (360, 360, 3)
    assert np.abs(wide[80:280, 80:280].astype(int) - tight).max() <= 1


def test_parts_beyond_the_image_repeat_its_border():
    image = np.zeros((50, 60, 3), np.uint8)
    image[:, 0], image[:, -1] = (10, 20, 30), (200, 210, 220)
    landmarks = np.array(face_crop.UTKFACE) * 40 + [10, 5]
    chip = face_crop.aligned(image, landmarks, margin=2.0)
    assert (chip[500, 5] == (10, 20, 30)).all() and (chip[500, -5] == (200, 210, 220)).all()
    gray = face_crop.aligned(image[..., 0], landmarks)
    assert gray.shape == (200, 200)


def test_templates_have_the_layout_of_a_face():
    for template in (face_crop.UTKFACE, face_crop.ADIENCE):
        (lx, ly), (rx, ry), (nx, ny), (mx, my), (ox, oy) = template
        assert lx < nx < rx and mx < nx < ox and ly < ny < my and abs(ly - ry) < 0.01 and abs(my - oy) < 0.01
