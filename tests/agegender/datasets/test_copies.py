"""Copies in another collection: changed copies of a photograph are found, other faces are not."""

import subprocess

import cv2
import numpy as np
import pytest
from support.external_data import SHARED, needs_shared

from agegender.datasets import copies, utkface
from agegender.datasets.sample import Sample
from agegender.synthetic_faces import draw


def changed(image, rng):
    """A copy as another collection may have it: cropped, turned, mirrored, resized, grey, brighter, compressed."""
    height, width = image.shape[:2]
    side = int(rng.integers(64, 257))
    matrix = cv2.getRotationMatrix2D(
        (width / 2, height / 2), rng.uniform(-15, 15), rng.uniform(0.65, 1.25) * side / width
    )
    matrix[:, 2] += side / 2 - np.array([width, height]) / 2 + rng.uniform(-0.08, 0.08, 2) * side
    out = cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    out = out[:, ::-1] if rng.random() < 0.5 else out
    if rng.random() < 0.25:
        out = cv2.cvtColor(cv2.cvtColor(out, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    out = np.clip(out * rng.uniform(0.7, 1.2) + rng.uniform(-20, 20), 0, 255).astype(np.uint8)
    return cv2.imdecode(cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 91))])[1], 1)


def write(path, image):
    cv2.imwrite(str(path), image)
    return Sample(str(path))


def test_changed_copies_are_found_and_other_faces_are_not(tmp_path):
    rng = np.random.default_rng(2)
    faces = [draw(5 + 7 * number, number % 2 == 0, number) for number in range(10)]
    others = [write(tmp_path / f"{number}.png", face) for number, face in enumerate(faces)]
    planted = [write(tmp_path / f"copy{number}.png", changed(faces[number], rng)) for number in range(5)]
    textures = [cv2.resize(rng.integers(0, 256, (9, 9, 3)).astype(np.uint8), (120, 120)) for _ in range(3)]
    absent = [write(tmp_path / f"new{number}.png", texture) for number, texture in enumerate(textures)]
    found = copies.copies_among(planted + absent, others, 1)
    assert found == {sample.path: other.path for sample, other in zip(planted, others)}


def test_nothing_is_a_copy_of_nothing(tmp_path):
    sample = write(tmp_path / "a.png", draw(30, True, 1))
    flat = write(tmp_path / "b.png", np.full((90, 90, 3), 120, np.uint8))
    assert copies.copies_among([], [sample]) == {} == copies.copies_among([sample], [])
    assert copies.copies_among([flat], [flat]) == {}


def test_registration_undoes_a_shift(tmp_path):
    chip = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 256, (200, 200)).astype(np.uint8), (0, 0), 3)
    chip = cv2.normalize(chip, None, 0, 255, cv2.NORM_MINMAX)
    one, other = chip[50:146, 50:146], chip[53:149, 48:144]
    assert copies.registered_similarity(one, other) > 0.97
    assert copies.registered_similarity(one, chip[:96, :96]) < copies.ALIKE


@needs_shared
def test_nine_of_ten_planted_copies_of_photographs_are_found(tmp_path):
    archive = SHARED / "data" / "UTKFace_AsianOnly.tar.gz"
    subprocess.run(["tar", "xzf", str(archive), "-C", str(tmp_path)], check=True)
    rng = np.random.default_rng(5)
    samples = utkface.read_folder(tmp_path / "UTKFace_AsianOnly").samples
    order = rng.permutation(len(samples))
    others = [samples[index] for index in order[:400]]
    planted = [
        write(tmp_path / f"{number}.png", changed(cv2.imread(other.path), rng))
        for number, other in enumerate(others[:60])
    ]
    absent = [samples[index] for index in order[400:460]]
    found = copies.copies_among([*planted, *absent], others)
    right = sum(found.get(sample.path) == other.path for sample, other in zip(planted, others))
    assert right >= 54 and len(found) - right <= 6  # some of the absent ones are real copies


@pytest.mark.parametrize("shape", [(16, 16, 3), (40, 300, 3)])
def test_images_without_a_face_are_compared_whole(tmp_path, shape):
    rng = np.random.default_rng(3)
    image = cv2.resize(rng.integers(0, 256, (8, 8, 3)).astype(np.uint8), shape[1::-1])
    chip = copies.AlignedChip()(write(tmp_path / "a.png", image).path)
    assert (chip.shape, chip.dtype) == ((96, 96), np.uint8)
