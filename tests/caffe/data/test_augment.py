"""Augmentation, measured on images that show the change: dots, ramps and constant colours."""

import numpy as np
import pytest

from caffe.data import datum
from caffe.data.augment import Augment, mixup
from caffe.data.db import create_db, open_db
from caffe.data.prefetcher import BatchPrefetcher
from caffe.device.transform import Transform
from caffe.errors import CaffeError
from caffe.proto import caffe_pb2

COUNT = 300
NOISE = np.random.default_rng(5).integers(0, 256, (3, 40, 36), dtype=np.uint8)


def make_augment(**fields):
    return Augment(caffe_pb2.AugmentParameter(**fields))


def augmented(images, transform=None, seed=0, labels=(), **fields):
    rng = np.random.default_rng(seed)
    return make_augment(**fields).apply(list(images), list(labels), transform or Transform(), rng)


def dot(row, column, side=61):
    """A blurred white dot on black."""
    y, x = np.mgrid[:side, :side]
    intensity = 255 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 8)
    return np.repeat(intensity.astype(np.uint8)[None], 3, 0)


def centroid(image):
    """Centroid (row, column) of the dot in an image."""
    weights = image[0] / image[0].sum()
    rows, columns = np.mgrid[: image.shape[1], : image.shape[2]]
    return np.array([(weights * rows).sum(), (weights * columns).sum()])


def test_without_augmentation_images_are_random_crops_half_of_them_mirrored():
    crops = {
        NOISE[:, y : y + 30, x : x + 30][..., ::step].tobytes(): (y, x, step)
        for y in range(11)
        for x in range(7)
        for step in (1, -1)
    }
    images = augmented([NOISE] * COUNT, Transform(crop=30, mirror=True))
    results = [crops[image.astype(np.uint8).tobytes()] for image in images]
    assert {y for y, _, _ in results} == set(range(11)) and {x for _, x, _ in results} == set(range(7))
    assert 0.35 < np.mean([step < 0 for *_, step in results]) < 0.65


def test_rotation_is_about_the_centre_and_within_the_limit():
    center = np.array([30, 30])
    positions = [centroid(image) - center for image in augmented([dot(30, 48)] * COUNT, rotate=20)]
    angles = np.rad2deg([np.arctan2(y, x) for y, x in positions])
    assert np.allclose(np.hypot(*np.transpose(positions)), 18, atol=0.3)
    assert 18 < angles.max() <= 20.5 and -20.5 <= angles.min() < -18 and abs(angles.mean()) < 3


def test_scale_moves_points_radially():
    radii = [centroid(image) - 30 for image in augmented([dot(30, 44)] * COUNT, scale=0.2)]
    assert np.allclose([y for y, _ in radii], 0, atol=0.2)
    ratios = np.array([x for _, x in radii]) / 14
    assert 0.79 < ratios.min() < 0.83 and 1.17 < ratios.max() < 1.21


def test_shift_is_a_fraction_of_the_side():
    shifts = np.array([centroid(image) - 30 for image in augmented([dot(30, 30)] * COUNT, shift=0.1)])
    assert np.abs(shifts).max() < 6.2 and np.abs(shifts).max(0).min() > 5.4


def test_geometry_is_about_the_centre_of_the_crop():
    for image in augmented([dot(30, 30)] * 40, Transform(crop=61), rotate=30, scale=0.3):
        assert np.allclose(centroid(image), 30, atol=0.2)


def test_brightness_is_a_fraction_of_255():
    constant = np.full((3, 8, 8), 120, np.uint8)
    added = np.array([image[0, 0, 0] - 120 for image in augmented([constant] * COUNT, brightness=0.3)])
    assert 60 < added.max() <= 77 and -77 <= added.min() < -60 and abs(added.mean()) < 10


def test_values_saturate_at_0_and_255():
    out = augmented([NOISE] * 40, brightness=0.5, contrast=0.9)
    assert out.min() == 0 and out.max() == 255


def test_contrast_keeps_the_mean_and_saturation_the_luminance():
    low_contrast = (NOISE // 4 + 96).astype(np.uint8)  # far from 0 and 255
    luma = np.tensordot([0.114, 0.587, 0.299], low_contrast.astype(float), 1)
    for image in augmented([low_contrast] * 20, contrast=0.5):
        factor = (image - luma.mean()).std() / (low_contrast - luma.mean()).std()
        assert 0.49 < factor < 1.51
        assert np.abs(image - (luma.mean() + factor * (low_contrast - luma.mean()))).max() < 1.5
    for image in augmented([low_contrast] * 20, saturation=0.5):
        assert np.abs(np.tensordot([0.114, 0.587, 0.299], image, 1) - luma).max() < 1
    is_grey = [np.ptp(image, 0).max() == 0 for image in augmented([low_contrast] * COUNT, gray=0.3)]
    assert 0.2 < np.mean(is_grey) < 0.4


def test_blur_removes_detail_from_some_images():
    detail = [np.abs(np.diff(image)).mean() for image in augmented([NOISE] * COUNT, blur=0.4)]
    original = np.abs(np.diff(NOISE.astype(float))).mean()
    assert 0.5 < np.mean(np.isclose(detail, original)) < 0.7 and min(detail) < original / 3


def test_noise_has_the_configured_standard_deviation():
    constant = np.full((3, 50, 50), 128, np.uint8)
    deviations = [(image - 128).std() for image in augmented([constant] * 60, noise=12)]
    assert max(deviations) < 12.6 and min(deviations) < 3 and max(deviations) > 10


def test_rectangle_is_erased_from_some_images():
    original = np.random.default_rng(1).integers(0, 256, (3, 50, 50), dtype=np.uint8)
    fractions = []
    for image in augmented([original] * COUNT, erase=0.5):
        changed = (image != original).any(0)
        fractions.append(changed.mean())
        if changed.any():
            rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
            patch = image[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            assert np.ptp(patch) == 0
    erased = np.array([fraction for fraction in fractions if fraction])
    assert 0.4 < len(erased) / COUNT < 0.6 and erased.min() > 0.01 and erased.max() < 0.41


def test_mixup_uses_the_same_weights_for_images_and_labels():
    images = np.eye(2, dtype=np.float32).repeat(500, 0).reshape(1000, 2, 1, 1)  # one-hot images of classes 0 and 1
    label, second_label = np.repeat([0, 1], 500).astype(np.float32), np.repeat([10, 11], 500).astype(np.float32)
    mixup(0.5, images, [label, second_label], np.random.default_rng(0))
    assert np.allclose(images.sum(1), 1, atol=1e-6) and ((images > 0.05) & (images < 0.95)).any()
    assert (second_label == label + 10).all()
    weight = images[:, 1, 0, 0]
    assert abs(label[weight > 0.7].mean() - weight[weight > 0.7].mean()) < 0.05
    middle = (weight > 0.3) & (weight < 0.7)
    assert abs(label[middle].mean() - weight[middle].mean()) < 0.12


def test_mean_image_is_cropped_at_the_centre():
    mean = np.random.default_rng(2).uniform(0, 255, (3, 40, 36)).astype(np.float32)
    constant = np.full((3, 40, 36), 99, np.uint8)
    out = augmented([constant] * 3, Transform(crop=30, mean=mean, scale=0.5), rotate=10)
    assert np.allclose(out, (99 - mean[:, 5:35, 3:33]) * 0.5, atol=1e-4)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"rotate": -1}, "rotate -1"),
        ({"erase": 1.5}, "erase 1.5"),
        ({"scale": 2}, "scale 2"),
    ],
)
def test_invalid_values(fields, message):
    with pytest.raises(CaffeError, match=message):
        make_augment(**fields)


def test_float_images_are_rejected():
    with pytest.raises(CaffeError, match="float32"):
        augmented([NOISE.astype(np.float32)], rotate=5)


def test_prefetcher_augments_in_train_only_and_resumes_bit_identically(tmp_path):
    with create_db(tmp_path / "db") as writer:
        for i in range(9):
            writer.put(b"%d" % i, datum.encode(NOISE, i, more=(i / 2, -i)))
    settings = dict(labels=3, seed=4, augment=make_augment(rotate=20, erase=0.5, mixup=1.0))
    with open_db(tmp_path / "db") as db:
        with BatchPrefetcher(db, 4, Transform(crop=30, mirror=True), "TRAIN", **settings) as prefetcher:
            uninterrupted = [[array.copy() for array in prefetcher.next()] for _ in range(5)]
        with BatchPrefetcher(db, 4, Transform(crop=30, mirror=True), "TRAIN", position=3, **settings) as prefetcher:
            resumed = [[array.copy() for array in prefetcher.next()] for _ in range(2)]
        pairs = zip(uninterrupted[3:], resumed)
        assert all(np.array_equal(a, b) for expected, result in pairs for a, b in zip(expected, result))
        with BatchPrefetcher(db, 9, Transform(crop=30), "TEST", **settings) as prefetcher:
            data, *labels = prefetcher.next()
        assert np.array_equal(data, np.stack([NOISE[:, 5:35, 3:33]] * 9))
        assert [label.tolist() for label in labels] == [
            list(range(9)),
            [i / 2 for i in range(9)],
            [-i for i in range(9)],
        ]


def test_light_is_a_gamma_and_a_slope_across_the_image():
    """On a constant image only the slope remains: values are constant * (1 + down * y + right * x), y and x from -1 to 1."""
    images = augmented([np.full((3, 31, 31), 128, np.uint8)] * COUNT, light=0.3)
    centres = images[:, 0, 15, 15]
    exponents = np.log(centres / 255) / np.log(128 / 255)
    assert np.exp(-0.3) - 0.02 < exponents.min() < np.exp(-0.25) and np.exp(0.25) < exponents.max() < np.exp(0.3) + 0.02
    slopes = np.stack([images[:, 0, -1, 15] - images[:, 0, 0, 15], images[:, 0, 15, -1] - images[:, 0, 15, 0]], 1)
    strengths = np.hypot(*slopes.T) / (2 * centres)
    assert strengths.max() < 0.31 and strengths.max() > 0.25 and strengths.min() < 0.05
    assert (images[:, 0] == images[:, 2]).all()


def test_compressed_images_lose_detail_and_others_stay():
    images = augmented([NOISE] * COUNT, compress=0.4)
    changed = np.array([(image != NOISE).any() for image in images])
    assert 0.3 < changed.mean() < 0.5
    assert (np.abs(images[changed] - NOISE).mean((1, 2, 3)) > 2).all()


def test_new_augmentations_do_not_change_the_others():
    """Random numbers of a recipe without them are those of earlier versions."""
    fields = {"rotate": 10, "contrast": 0.2, "blur": 0.3, "erase": 0.3}
    assert (augmented([NOISE] * 20, **fields) == augmented([NOISE] * 20, **fields, light=0, compress=0)).all()
