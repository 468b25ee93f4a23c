"""Synthetic faces: reproducible from the seed, with the real data set's imbalance and duplicates, by age and sex."""

import collections
import hashlib
import subprocess
import sys

import cv2
import numpy as np
import pytest

from agegender import synthetic_faces
from agegender.datasets import duplicates, utkface
from agegender.errors import AgeGenderError
from agegender.synthetic_faces import canvas, collection, contact_sheet, traits
from caffe.utils.cli import commands


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("faces") / "synthetic"
    collection.make(path, 60, seed=3, jobs=1)
    return path


def digest(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_a_face_has_200x200_pixels_and_depends_on_the_seed():
    face = synthetic_faces.draw(30, True, (1, 2))
    assert face.shape == (200, 200, 3) and face.dtype == np.uint8
    assert np.array_equal(face, synthetic_faces.draw(30, True, (1, 2)))
    assert not np.array_equal(face, synthetic_faces.draw(30, True, (1, 3)))


@pytest.mark.parametrize("age", [0, 1, 9, 17, 40, 80, 116])
@pytest.mark.parametrize("male", [True, False])
def test_every_age_can_be_drawn(age, male):
    for seed in range(6):
        assert synthetic_faces.draw(age, male, seed).std() > 15


def test_another_seed_gives_other_files(folder, tmp_path):
    collection.make(tmp_path / "other", 20, seed=4, jobs=1)
    assert not set(digest(folder).values()) & set(digest(tmp_path / "other").values())


def test_names_are_regular_and_of_one_race(folder):
    names = utkface.read_folder(folder, (2,))
    assert len(names.samples) == 60 and not names.irregular and not names.skipped


@pytest.mark.parametrize("count", [900, 300])
def test_classes_are_imbalanced_like_the_real_data_set(count):
    faces = collection.plan(count, 1)
    expected = (929, 96, 1329, 527, 157, 115, 95, 84, 102)
    ages = collections.Counter(face.labels[0] for face in faces)
    assert sum(ages.values()) == count
    assert all(abs(ages[index] - expected[index] * count / 3434) <= 1 for index in range(9))
    men = sum(face.gender == 0 for face in faces)
    assert abs(men - count * 1575 / 3434) < 6


def test_duplicates_are_planted_in_the_ratio_of_the_real_data_set():
    faces = collection.plan(900, 1)
    pairs = [(face, faces[face.duplicate_of]) for face in faces if face.duplicate_of is not None]
    assert len(pairs) == 12 and all(source.duplicate_of is None for _, source in pairs)
    assert sum(face.labels != source.labels for face, source in pairs) == 2
    assert sum(face.labels == source.labels and face.age != source.age for face, source in pairs) == 1


def test_duplicates_in_a_folder_are_the_planned_ones(folder):
    samples = utkface.read_folder(folder).samples
    result = duplicates.find(samples, duplicates.digests(samples))
    faces = collection.plan(60, 3)
    assert len(result.groups) == sum(face.duplicate_of is not None for face in faces) > 0
    assert result.class_groups >= 1


def test_too_few_faces_are_refused(tmp_path):
    with pytest.raises(AgeGenderError, match="expected at least 20 faces .*, received 5"):
        collection.make(tmp_path / "few", 5)


def people(age, male, count=150):
    return [traits.sample(age, male, np.random.default_rng((seed, age, male))) for seed in range(count)]


def mean(persons, name):
    return float(np.mean([getattr(person, name) for person in persons]))


def test_age_shows_in_gray_hair_wrinkles_and_proportions():
    young, old, child = people(22, True), people(78, True), people(4, True)
    assert mean(young, "grey") < 0.05 and mean(old, "grey") > 0.7
    assert mean(old, "wrinkles") > mean(young, "wrinkles") + 0.5
    assert mean(child, "eye_size") > mean(young, "eye_size") + 0.2
    assert mean(child, "eye_y") > mean(young, "eye_y") + 8
    assert mean(old, "recede") > mean(young, "recede") + 0.3


def test_sex_shows_more_in_adults_than_in_children():
    def effect_size(age, name):
        men, women = people(age, True), people(age, False)
        return abs(mean(men, name) - mean(women, name)) / np.std([getattr(p, name) for p in men + women])

    assert effect_size(30, "jaw") > 1.5 > effect_size(4, "jaw")
    assert effect_size(30, "brow") > 1.5 > effect_size(1, "brow")
    assert effect_size(30, "long") > 1 and effect_size(1, "long") < 0.3
    assert mean(people(30, False), "stubble") == 0 < mean(people(30, True), "stubble")
    assert mean(people(10, True), "beard") == 0


def test_gray_hair_is_brighter_in_the_image():
    def crown(age):
        return np.mean([synthetic_faces.draw(age, False, (age, k))[22:40, 80:120].mean() for k in range(12)])

    assert crown(85) > crown(20) + 25


def test_smooth_curve_passes_through_its_points():
    points = np.array([(0, 0), (10, 5), (20, -5), (33, 2)], float)
    curve = canvas.smooth(points, 31)
    assert np.allclose(curve[[0, 10, 20, 30]], points)
    assert np.allclose(canvas.smooth(points[None].repeat(2, 0), 31)[1], curve)


def test_turning_the_head_shifts_the_middle_most():
    turned = canvas.Canvas(np.zeros((400, 400, 3), np.uint8), np.eye(2, 3), 6.0, 50.0)
    shifted = turned.front([(0, 0), (30, 1), (50, 2), (80, 3)])
    assert np.allclose(shifted, [(6, 0), (34.8, 1), (50, 2), (80, 3)])


def test_coarse_grid_inverts_the_matrix():
    matrix = np.array([[1.1, -0.2, 90], [0.2, 1.1, 104]])
    x, y = canvas.Canvas(np.zeros((400, 400, 3), np.uint8), matrix, 0.0, 50.0).coarse_grid()
    assert np.allclose(matrix @ (x[30, 70], y[30, 70], 1), (141, 61), atol=1e-3)


def test_contact_sheet_has_one_column_per_class(folder, tmp_path):
    contact_sheet.write_sheet(tmp_path / "sheet.png", folder)
    assert cv2.imread(str(tmp_path / "sheet.png")).shape == (24 + 4 * 120, 9 * 120, 3)


def test_command_draws_and_prints_the_next_step(tmp_path, capsys):
    out = tmp_path / "synthetic"
    argv = ["synthesize-faces", "--out", str(out), "--count", "20", "--jobs", "1"]
    assert commands.main("agegender.cli", "agegender", argv) == 0
    captured = capsys.readouterr()
    assert captured.out == f"20 faces in {out}\n" and "Next: ./build_dataset.py --faces" in captured.err


def test_output_does_not_depend_on_the_number_of_processes(folder, tmp_path):
    out = tmp_path / "second"
    command = [sys.executable, "-m", "agegender", "synthesize-faces", "--out", str(out)]
    subprocess.run([*command, "--count", "60", "--seed", "3", "--jobs", "2"], check=True, capture_output=True)
    assert digest(out) == digest(folder)
