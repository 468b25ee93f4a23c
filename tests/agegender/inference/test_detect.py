"""Finding faces: all of them, small and large, turned, cut off and dark, in pictures of every kind and size."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from support import composite_photographs

from agegender.errors import AgeGenderError
from agegender.inference import detect

# chips of 56 to 800 pixels: faces of 29 to 410
PLACES = [
    (30, 40, 56, 0),
    (150, 30, 80, 0),
    (300, 20, 120, 20),
    (480, 30, 200, -30),
    (720, 80, 800, 0),
    (60, 300, 300, 8),
]


@pytest.fixture(scope="module")
def detector():
    return detect.Detector()


@pytest.fixture(scope="module")
def group():
    return composite_photographs.photograph(1600, 1000, PLACES)


def test_faces_of_many_sizes_in_one_picture(detector, group):
    picture, matrices = group
    found = detector.find(picture)
    told = composite_photographs.matched(found, matrices)
    assert len(found) == len(matrices)
    for face, (_, _, side, angle) in zip(told, PLACES):
        left, top, right, bottom = face.box
        assert detect.THRESHOLD <= face.score <= 1
        assert 0.35 * side < right - left < 0.8 * side and right - left < 1.1 * (bottom - top)
        (lx, ly), (rx, ry) = face.landmarks[:2]
        assert abs(np.degrees(np.arctan2(ry - ly, rx - lx)) + angle) < 20  # heads are drawn a little tilted
        assert left < face.landmarks[:, 0].min() and face.landmarks[:, 0].max() < right
    assert [face.area for face in found] == sorted((face.area for face in found), reverse=True)


def test_large_pictures_are_looked_at_in_parts_that_share_a_face(detector, monkeypatch):
    """A part's edge runs through every face, some wider than parts share: each is found once, and whole."""
    places = [(280, 40, 160, 0), (40, 230, 330, 0), (420, 220, 360, 0), (560, 40, 150, 0)]
    picture, matrices = composite_photographs.photograph(800, 600, places)
    whole = composite_photographs.matched(detector.find(picture), matrices)
    monkeypatch.setattr(detect, "_MOST", 640)
    assert len(detect._parts(int(800 * detect.scales((600, 800))[0]))) == 3
    found = detector.find(picture)
    assert len(found) == len(places)
    for one, other in zip(composite_photographs.matched(found, matrices), whole):
        assert np.abs(np.array(one.box) - other.box).max() <= 12


def test_parts_cover_a_side_and_share_what_they_must():
    for length in (1, 2047, 2048, 2049, 3896, 3897, 9000, 20001):
        parts = detect._parts(length)
        assert parts[0][0] == 0 and parts[-1][1] == length
        assert max(end - begin for begin, end in parts) <= detect._MOST
        for (_, end), (begin, _) in zip(parts, parts[1:]):
            assert end - begin >= detect._SHARED
        assert sum(end - begin for begin, end in parts) <= length + len(parts) * (detect._SHARED + 1)


@pytest.mark.parametrize("longer", [16, 100, 640, 1280, 4000, 12000])
def test_the_views_show_every_face_at_a_width_the_net_sees_well(longer):
    for least in (None, 12, 40, 200):
        scales = detect.scales((longer * 3 // 4, longer), least)
        smallest = least or detect.least_of((longer, longer))
        for width in np.geomspace(smallest, max(smallest, 0.95 * longer), 40):
            seen = [scale * width for scale in scales]
            assert any(detect.GOOD[0] * 0.99 <= s <= detect.GOOD[1] * 1.2 for s in seen) or scales[0] == 3.0, (
                width,
                seen,
            )


@pytest.mark.parametrize("scale", [0.5, 2.0, 3.1])
def test_a_resized_picture_has_the_same_faces(detector, scale):
    picture, matrices = composite_photographs.photograph(640, 480, [(40, 60, 160, 0), (330, 100, 260, 12)])
    found = detector.find(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    assert len(found) == 2
    composite_photographs.matched(found, [matrix * scale for matrix in matrices])


def test_dim_blurred_grey_mirrored_and_cut_off(detector):
    picture, (matrix,) = composite_photographs.photograph(400, 300, [(120, 60, 180, 0)])
    width = detector.find(picture)[0].box[2] - detector.find(picture)[0].box[0]
    dim = (picture * 0.2).astype(np.uint8)
    blurred = cv2.GaussianBlur(picture, (0, 0), 3)
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    for changed in (dim, blurred, grey, grey[..., None], np.dstack([picture, grey])):
        composite_photographs.matched(detector.find(changed), [matrix])
    mirrored = detector.find(np.ascontiguousarray(picture[:, ::-1]))[0]
    truth = [[399, 0], [399, 0]] + composite_photographs.eyes(matrix) * [-1, 1]
    assert np.abs(mirrored.landmarks[1::-1] - truth).max() < 12  # left stays left in the picture
    cut = matrix - [[0, 0, 120 + 0.33 * 180], [0, 0, 0]]  # the box loses a fifth
    face = composite_photographs.matched(
        detector.find(np.ascontiguousarray(picture[:, int(120 + 0.33 * 180) :])), [cut]
    )[0]
    assert face.box[2] - face.box[0] > 0.6 * width


def test_pictures_that_are_nothing_but_a_small_face(detector):
    from agegender import synthetic_faces

    for side in (200, 100, 64):
        chip = cv2.resize(synthetic_faces.draw(30, True, 5), (side, side), interpolation=cv2.INTER_AREA)
        assert len(detector.find(chip)) == 1, side


def test_no_face_in_noise_stripes_and_plain_colour(detector):
    rng = np.random.default_rng(0)
    stripes = np.tile(np.arange(0, 320, dtype=np.uint8)[None, :, None], (240, 1, 3))
    nothing = np.zeros((16, 16, 3), np.uint8)
    for picture in (
        rng.integers(0, 256, (240, 320, 3), np.uint8),
        stripes,
        nothing,
        composite_photographs.background(640, 480),
    ):
        assert detector.find(picture) == []


def test_least_width_and_threshold(group):
    picture, _ = group
    every = detect.Detector(0.5).find(picture)
    large = detect.Detector(0.5, least=100).find(picture)
    assert {face.box[2] - face.box[0] >= 100 for face in large} == {True}
    assert 0 < len(large) < len(every)
    assert all(face.score >= 0.9 for face in detect.Detector(0.9).find(picture))
    for wrong in ({"threshold": 0}, {"threshold": 1.0}, {"least": 0}):
        with pytest.raises(AgeGenderError, match="received"):
            detect.Detector(**wrong)


def test_threads_share_a_detector(detector, group):
    picture, _ = group
    half = cv2.resize(picture, None, fx=0.5, fy=0.5)
    boxes = [[face.box for face in detector.find(each)] for each in (picture, half)]
    with ThreadPoolExecutor(4) as pool:
        for index, found in enumerate(pool.map(detector.find, [picture, half] * 4)):
            assert [face.box for face in found] == boxes[index % 2]


def test_a_face_that_a_parts_edge_cuts_is_not_seen_well():
    part, size = (0, 100, 500, 600), (900, 600)  # the view goes on at the top and on the right
    boxes = {(10, 200, 100, 120): 1, (0, 200, 100, 120): 1, (10, 100, 100, 120): 0, (401, 200, 100, 120): 0,
             (10, 480, 100, 121): 1, (10, 200, 30, 40): 0, (10, 110, 450, 470): 0}  # fmt: skip
    rows = np.zeros((len(boxes), 15), np.float32)
    rows[:, :4] = list(boxes)
    assert detect._seen_well(rows, part, size).astype(int).tolist() == list(boxes.values())
