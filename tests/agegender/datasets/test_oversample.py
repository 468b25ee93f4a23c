"""Oversampling: plans against the published counts, and the copies against plain definitions."""

import collections
import random

import cv2
import numpy as np
import pytest

from agegender.datasets import oversample
from agegender.datasets.sample import Sample
from caffe.errors import CaffeError

PUBLISHED = [734, 78, 1066, 423, 126, 95, 76, 67, 82]


def faces(counts):
    decades = [10 * index for index, count in enumerate(counts) for _ in range(count)]
    return [Sample(f"{age}_0_2_{decades[:i].count(age):017d}.jpg", age) for i, age in enumerate(decades)]


def sizes(samples, copies, classes=9):
    total = collections.Counter(sample.age_class for sample in samples)
    total.update(copy.source.age_class for copy in copies)
    return [total[index] for index in range(classes)]


def plan(samples, classes=9):
    return oversample.plan(samples, lambda sample: sample.age_class, classes)


def as_original(samples, classes=9):
    return oversample.plan_as_original(samples, lambda sample: sample.age_class, classes, random.Random(230))


def test_original_plan_gives_the_published_counts():
    samples = faces(PUBLISHED)
    assert sizes(samples, as_original(samples)) == [1066, 1066, 1066, 1065, 1066, 1065, 1066, 1065, 1066]


def test_plan_balances_exactly():
    samples = faces(PUBLISHED)
    copies = plan(samples)
    assert sizes(samples, copies) == [1066] * 9
    assert len({copy.name for copy in copies}) == len(copies)


def test_plan_uses_every_face_equally_often():
    copies = plan(faces([10, 3]))
    used = collections.Counter(copy.source.path for copy in copies)
    assert len(copies) == 7 and sorted(used.values()) == [2, 2, 3]


def test_plan_has_no_equal_copies():
    plain_mirrors = collections.Counter(copy.source.path for copy in plan(faces([20, 2])) if not copy.noise)
    assert set(plain_mirrors.values()) == {1}


def test_original_plan_never_uses_the_last_face():
    assert {copy.source.path for copy in as_original(faces([20, 3]))} == {s.path for s in faces([0, 3])[:2]}


@pytest.mark.parametrize("planner", [plan, as_original])
@pytest.mark.parametrize("counts", [[], [0, 0], [4, 0, 1], [1], [5, 1, 0, 2]])
def test_empty_and_one_image_classes_do_not_crash(planner, counts):
    samples = faces(counts)
    balanced = sizes(samples, planner(samples), len(counts))
    assert all((after == 0) == (before == 0) for before, after in zip(counts, balanced))
    assert all(max(counts) - after <= 1 for after in balanced if after)


def test_original_plan_uses_the_original_file_names():
    copy = as_original(faces([3, 1]))[0]
    assert copy.name.startswith("10_0_2_00000000000000000_") and copy.name.endswith("_flipH.jpg")
    assert len(copy.name) == len("10_0_2_00000000000000000_ABC123_flipH.jpg")


def test_noise_has_the_documented_mean_and_variance():
    gray = np.full((200, 200, 3), 128, np.uint8)
    noise = oversample.add_noise(gray, np.random.default_rng(1)).astype(float) / 255 - 128 / 255
    assert abs(noise.mean()) < 1e-3 and abs(noise.var() - 0.01) < 2e-4


@pytest.mark.parametrize("value", [0, 255])
def test_noise_is_clipped_not_wrapped(value):
    noisy = oversample.add_noise(np.full((50, 50, 3), value, np.uint8), np.random.default_rng(1)).astype(int)
    assert (np.abs(noisy - value) < 160).all() and (noisy == value).mean() > 0.4


@pytest.fixture
def sample(tmp_path):
    path = str(tmp_path / "10_0_2_00000000000000000.jpg")
    left_dark = np.zeros((32, 32, 3), np.uint8)
    left_dark[:, 16:] = 200
    cv2.imwrite(path, left_dark)
    return Sample(path, 10)


def copies_of(sample):
    return plan([Sample(f"0_0_2_{i}.jpg", 0) for i in range(9)] + [sample])


def test_copies_are_mirrored_and_noisy_as_planned(sample, tmp_path):
    oversample.make(copies_of(sample), tmp_path / "out", seed=1)
    mirrored = cv2.imread(str(tmp_path / "out" / "10_0_2_00000000000000000_000000_flipH.jpg")).astype(int)
    assert mirrored[:, :14].min() > 180 and mirrored[:, 18:].max() < 20
    noisy = cv2.imread(str(tmp_path / "out" / "10_0_2_00000000000000000_000001_noise.jpg")).astype(int)
    assert noisy[:, :14].mean() < 30 and noisy[:, 18:].std() > 10


def test_bytes_depend_on_the_seed_and_not_on_the_threads(sample, tmp_path):
    def write(name, seed, jobs):
        oversample.make(copies_of(sample), tmp_path / name, seed, jobs)
        return {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}

    assert len(write("a", 1, 1)) == 8
    assert write("a", 1, 1) == write("b", 1, 4)
    assert write("a", 1, 1) != write("c", 2, 1)


def test_copies_of_gray_images_have_three_channels(tmp_path):
    path = str(tmp_path / "10_0_2_00000000000000000.jpg")
    cv2.imwrite(path, np.full((8, 8), 77, np.uint8))
    oversample.make(copies_of(Sample(path, 10)), tmp_path / "out", seed=1)
    path = next((tmp_path / "out").glob("*_000000_flipH.jpg"))
    assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED).shape == (8, 8, 3)


def test_error_names_a_broken_image(tmp_path):
    broken = tmp_path / "10_0_2_00000000000000000.jpg"
    broken.write_bytes(b"not an image")
    with pytest.raises(CaffeError, match="10_0_2_00000000000000000.jpg: .*not an image"):
        oversample.make(copies_of(Sample(str(broken), 10)), tmp_path / "out", seed=1)
