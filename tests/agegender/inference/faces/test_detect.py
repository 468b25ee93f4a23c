"""Face detection: small, large, rotated, cropped and dark faces in images of many sizes and formats."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from support import composite_photographs

from agegender import synthetic_faces
from agegender.errors import AgeGenderError
from agegender.inference.faces import detect

# (left, top, side, angle) of aligned faces of 56 to 800 pixels; the faces in them are 29 to 410 pixels wide
PLACEMENTS = [
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
    return composite_photographs.photograph(1600, 1000, PLACEMENTS)


def test_faces_of_many_sizes_in_one_image(detector, group):
    image, matrices = group
    faces = detector.find(image)
    assert len(faces) == len(matrices)
    for face, (_, _, side, angle) in zip(composite_photographs.matched(faces, matrices), PLACEMENTS):
        left, top, right, bottom = face.box
        assert detect.THRESHOLD <= face.score <= 1
        assert 0.35 * side < right - left < 0.8 * side and right - left < 1.1 * (bottom - top)
        (lx, ly), (rx, ry) = face.landmarks[:2]
        assert abs(np.degrees(np.arctan2(ry - ly, rx - lx)) + angle) < 20  # synthetic heads are tilted a little
        assert left < face.landmarks[:, 0].min() and face.landmarks[:, 0].max() < right
    assert [face.area for face in faces] == sorted((face.area for face in faces), reverse=True)


def test_faces_across_tile_edges_are_found_once(detector, monkeypatch):
    """A tile's edge cuts every face, some wider than the overlap of tiles; each is found once, with its whole box."""
    placements = [(280, 40, 160, 0), (40, 230, 330, 0), (420, 220, 360, 0), (560, 40, 150, 0)]
    image, matrices = composite_photographs.photograph(800, 600, placements)
    untiled = composite_photographs.matched(detector.find(image), matrices)
    monkeypatch.setattr(detect, "_MAX_TILE", 640)
    assert len(detect._tiles(int(800 * detect.scales((600, 800))[0]))) == 3
    faces = detector.find(image)
    assert len(faces) == len(placements)
    for face, expected in zip(composite_photographs.matched(faces, matrices), untiled):
        assert np.abs(np.array(face.box) - expected.box).max() <= 12


def test_tiles_cover_a_side_and_overlap():
    for length in (1, 2047, 2048, 2049, 3896, 3897, 9000, 20001):
        tiles = detect._tiles(length)
        assert tiles[0][0] == 0 and tiles[-1][1] == length
        assert max(stop - start for start, stop in tiles) <= detect._MAX_TILE
        for (_, stop), (start, _) in zip(tiles, tiles[1:]):
            assert stop - start >= detect._OVERLAP
        assert sum(stop - start for start, stop in tiles) <= length + len(tiles) * (detect._OVERLAP + 1)


@pytest.mark.parametrize("longer", [16, 100, 640, 1280, 4000, 12000])
def test_the_pyramid_shows_every_face_at_a_reliable_width(longer):
    low, high = detect.RELIABLE_WIDTHS
    for min_face in (None, 12, 40, 200):
        scales = detect.scales((longer * 3 // 4, longer), min_face)
        smallest = min_face or detect.min_face_width((longer, longer))
        for width in np.geomspace(smallest, max(smallest, 0.95 * longer), 40):
            widths = [scale * width for scale in scales]
            assert scales[0] == 3.0 or any(low * 0.99 <= w <= high * 1.2 for w in widths), (width, widths)


@pytest.mark.parametrize("scale", [0.5, 2.0, 3.1])
def test_a_resized_image_has_the_same_faces(detector, scale):
    image, matrices = composite_photographs.photograph(640, 480, [(40, 60, 160, 0), (330, 100, 260, 12)])
    faces = detector.find(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    assert len(faces) == 2
    composite_photographs.matched(faces, [matrix * scale for matrix in matrices])


def test_dim_blurred_gray_mirrored_and_cropped_faces(detector):
    image, (matrix,) = composite_photographs.photograph(400, 300, [(120, 60, 180, 0)])
    left, _, right, _ = detector.find(image)[0].box
    dim = (image * 0.2).astype(np.uint8)
    blurred = cv2.GaussianBlur(image, (0, 0), 3)
    gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    for changed in (dim, blurred, gray, gray[..., None], np.dstack([image, gray])):
        composite_photographs.matched(detector.find(changed), [matrix])
    mirrored = detector.find(np.ascontiguousarray(image[:, ::-1]))[0]
    truth = [[399, 0], [399, 0]] + composite_photographs.eyes(matrix) * [-1, 1]
    assert np.abs(mirrored.landmarks[1::-1] - truth).max() < 12  # left is left in the image
    cropped = np.ascontiguousarray(image[:, int(120 + 0.33 * 180) :])  # the box loses a fifth
    shifted = matrix - [[0, 0, 120 + 0.33 * 180], [0, 0, 0]]
    face = composite_photographs.matched(detector.find(cropped), [shifted])[0]
    assert face.box[2] - face.box[0] > 0.6 * (right - left)


def test_an_image_that_is_one_small_aligned_face(detector):
    for side in (200, 100, 64):
        chip = cv2.resize(synthetic_faces.draw(30, True, 5), (side, side), interpolation=cv2.INTER_AREA)
        assert len(detector.find(chip)) == 1, side


def test_no_face_in_noise_stripes_and_plain_color(detector):
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    stripes = np.tile(np.arange(0, 320, dtype=np.uint8)[None, :, None], (240, 1, 3))
    black = np.zeros((16, 16, 3), np.uint8)
    for image in (noise, stripes, black, composite_photographs.background(640, 480)):
        assert detector.find(image) == []


def test_minimum_width_and_threshold(group):
    image, _ = group
    all_faces = detect.Detector(0.5).find(image)
    large = detect.Detector(0.5, min_face=100).find(image)
    assert {face.box[2] - face.box[0] >= 100 for face in large} == {True}
    assert 0 < len(large) < len(all_faces)
    assert all(face.score >= 0.9 for face in detect.Detector(0.9).find(image))
    for invalid in ({"threshold": 0}, {"threshold": 1.0}, {"min_face": 0}):
        with pytest.raises(AgeGenderError, match="received"):
            detect.Detector(**invalid)


def test_threads_share_a_detector(detector, group):
    image, _ = group
    half = cv2.resize(image, None, fx=0.5, fy=0.5)
    expected = [[face.box for face in detector.find(size)] for size in (image, half)]
    with ThreadPoolExecutor(4) as pool:
        for index, faces in enumerate(pool.map(detector.find, [image, half] * 4)):
            assert [face.box for face in faces] == expected[index % 2]


def test_faces_cut_by_an_inner_tile_edge_are_not_reliable():
    tile, size = (0, 100, 500, 600), (900, 600)  # top and right edges are inside the level
    boxes = {
        (10, 200, 100, 120): 1,
        (0, 200, 100, 120): 1,
        (10, 100, 100, 120): 0,
        (401, 200, 100, 120): 0,
        (10, 480, 100, 121): 1,
        (10, 200, 30, 40): 0,
        (10, 110, 450, 470): 0,
    }
    rows = np.zeros((len(boxes), 15), np.float32)
    rows[:, :4] = list(boxes)
    assert detect._is_reliable(rows, tile, size).astype(int).tolist() == list(boxes.values())


def test_a_tight_crop_is_found_with_a_border(monkeypatch):
    """Without a face at first, a small image is searched again with its border repeated; a large one is not."""
    seen = []

    def find(self, image):
        seen.append(image.shape)
        return [detect.Face((40, 50, 90, 110), 0.9, np.full((5, 2), 60, np.float32))] if len(seen) > 1 else []

    monkeypatch.setattr(detect.Detector, "_find", find)
    (face,) = detect.Detector().find(np.zeros((100, 80, 3), np.uint8))
    assert seen == [(100, 80, 3), (160, 140, 3)]
    assert face.box == (10, 20, 60, 80) and (face.landmarks == 30).all() and face.score == 0.9
    seen.clear()
    assert detect.Detector().find(np.zeros((700, 80, 3), np.uint8)) == [] and len(seen) == 1
