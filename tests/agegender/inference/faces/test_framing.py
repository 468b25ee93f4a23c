"""Images that are not one aligned face get a warning; an aligned face gets none."""

from types import SimpleNamespace

import numpy as np
import pytest
from support import composite_photographs

from agegender import synthetic_faces
from agegender.inference.faces import framing


@pytest.fixture(scope="module")
def check():
    found = framing.default_check()
    assert found is not None, "this OpenCV has the face detector"
    return found


def transform(landmarks=None):
    return SimpleNamespace(application={"landmarks": landmarks})


def test_a_checkerboard_has_no_face(check):
    square = np.kron((np.indices((8, 8)).sum(0) % 2).astype(np.uint8) * 255, np.ones((25, 25), np.uint8))
    assert "no face was found" in check(np.dstack([square] * 3), transform())


@pytest.mark.parametrize("count", [2, 3])
def test_a_photograph_of_several_faces(check, count):
    placements = [(20 + 170 * i, 30, 150, 0) for i in range(count)]
    image, _ = composite_photographs.photograph(60 + 170 * count, 220, placements)
    warning = check(image, transform())
    assert warning.startswith(f"{count} faces were found") and "--detect" in warning


def test_one_face_without_known_positions(check):
    assert check(synthetic_faces.draw(30, False, (1, 1)), transform()) == ""


def test_the_positions_of_the_landmarks(check):
    """The distance is computed here with a loop; a face that is shifted by a fifth of its side is off by that much."""
    face = synthetic_faces.draw(30, False, (1, 1))
    found = check.find(face)[0].landmarks
    trained = found / face.shape[0]
    assert check(face, transform(trained)) == ""
    shifted = trained + [0.2, 0]
    expected = sum(np.hypot(*(a - b)) for a, b in zip(trained, shifted)) / 5
    assert framing.landmark_distance(found, face.shape, transform(shifted)) == pytest.approx(expected)
    warning = check(face, transform(shifted))
    assert "off by 20 %" in warning and "--detect" in warning
