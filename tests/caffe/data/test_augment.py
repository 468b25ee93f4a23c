"""What augmentation does, told from pictures whose change can be read off: dots, ramps and constant colours."""

import numpy as np
import pytest

from caffe.data import datum
from caffe.data.augment import Augment, mix
from caffe.data.db import create_db, open_db
from caffe.data.prefetcher import BatchPrefetcher
from caffe.device.transform import Transform
from caffe.errors import CaffeError
from caffe.proto import caffe_pb2

COUNT = 300
NOISE = np.random.default_rng(5).integers(0, 256, (3, 40, 36), dtype=np.uint8)


def augment(**fields):
    return Augment(caffe_pb2.AugmentParameter(**fields))


def views(pictures, transform=None, seed=0, labels=(), **fields):
    rng = np.random.default_rng(seed)
    return augment(**fields).views(list(pictures), list(labels), transform or Transform(), rng)


def dot(row, column, side=61):
    """A soft white dot on black."""
    y, x = np.mgrid[:side, :side]
    spot = 255 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 8)
    return np.repeat(spot.astype(np.uint8)[None], 3, 0)


def where(view):
    """Centre of gravity (row, column) of the dot in a view."""
    weights = view[0] / view[0].sum()
    rows, columns = np.mgrid[: view.shape[1], : view.shape[2]]
    return np.array([(weights * rows).sum(), (weights * columns).sum()])


def test_with_nothing_asked_a_view_is_some_crop_some_of_them_mirrored():
    crops = {
        NOISE[:, y : y + 30, x : x + 30][..., ::step].tobytes(): (y, x, step)
        for y in range(11)
        for x in range(7)
        for step in (1, -1)
    }
    found = [crops[view.astype(np.uint8).tobytes()] for view in views([NOISE] * COUNT, Transform(crop=30, mirror=True))]
    assert {y for y, _, _ in found} == set(range(11)) and {x for _, x, _ in found} == set(range(7))
    assert 0.35 < np.mean([step < 0 for *_, step in found]) < 0.65


def test_rotation_turns_about_the_middle_and_no_further_than_asked():
    middle = np.array([30, 30])
    spots = [where(view) - middle for view in views([dot(30, 48)] * COUNT, rotate=20)]
    angles = np.rad2deg([np.arctan2(y, x) for y, x in spots])
    assert np.allclose(np.hypot(*np.transpose(spots)), 18, atol=0.3)
    assert 18 < angles.max() <= 20.5 and -20.5 <= angles.min() < -18 and abs(angles.mean()) < 3


def test_scale_moves_points_along_their_ray():
    radii = [where(view) - 30 for view in views([dot(30, 44)] * COUNT, scale=0.2)]
    assert np.allclose([y for y, _ in radii], 0, atol=0.2)
    ratios = np.array([x for _, x in radii]) / 14
    assert 0.79 < ratios.min() < 0.83 and 1.17 < ratios.max() < 1.21


def test_shift_is_a_share_of_the_side():
    moves = np.array([where(view) - 30 for view in views([dot(30, 30)] * COUNT, shift=0.1)])
    assert np.abs(moves).max() < 6.2 and np.abs(moves).max(0).min() > 5.4


def test_geometry_is_about_the_middle_of_the_crop():
    for view in views([dot(30, 30)] * 40, Transform(crop=61), rotate=30, scale=0.3):
        assert np.allclose(where(view), 30, atol=0.2)


def test_brightness_acts_on_pixels_of_0_to_255():
    flat = np.full((3, 8, 8), 120, np.uint8)
    added = np.array([view[0, 0, 0] - 120 for view in views([flat] * COUNT, brightness=0.3)])
    assert 60 < added.max() <= 77 and -77 <= added.min() < -60 and abs(added.mean()) < 10


def test_values_stay_in_a_byte():
    out = views([NOISE] * 40, brightness=0.5, contrast=0.9)
    assert out.min() == 0 and out.max() == 255


def test_contrast_keeps_the_mean_and_saturation_the_grey():
    soft = (NOISE // 4 + 96).astype(np.uint8)  # far from both ends
    luma = np.tensordot([0.114, 0.587, 0.299], soft.astype(float), 1)
    for view in views([soft] * 20, contrast=0.5):
        factor = (view - luma.mean()).std() / (soft - luma.mean()).std()
        assert 0.49 < factor < 1.51
        assert np.abs(view - (luma.mean() + factor * (soft - luma.mean()))).max() < 1.5
    for view in views([soft] * 20, saturation=0.5):
        assert np.abs(np.tensordot([0.114, 0.587, 0.299], view, 1) - luma).max() < 1
    greys = [np.ptp(view, 0).max() == 0 for view in views([soft] * COUNT, gray=0.3)]
    assert 0.2 < np.mean(greys) < 0.4


def test_blur_takes_fine_detail_from_some():
    detail = [np.abs(np.diff(view)).mean() for view in views([NOISE] * COUNT, blur=0.4)]
    whole = np.abs(np.diff(NOISE.astype(float))).mean()
    assert 0.5 < np.mean(np.isclose(detail, whole)) < 0.7 and min(detail) < whole / 3


def test_noise_has_the_strength_asked():
    flat = np.full((3, 50, 50), 128, np.uint8)
    strengths = [(view - 128).std() for view in views([flat] * 60, noise=12)]
    assert max(strengths) < 12.6 and min(strengths) < 3 and max(strengths) > 10


def test_a_rectangle_is_erased_from_some():
    ramp = np.random.default_rng(1).integers(0, 256, (3, 50, 50), dtype=np.uint8)
    shares = []
    for view in views([ramp] * COUNT, erase=0.5):
        changed = (view != ramp).any(0)
        shares.append(changed.mean())
        if changed.any():
            rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
            patch = view[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            assert np.ptp(patch) == 0
    used = np.array([share for share in shares if share])
    assert 0.4 < len(used) / COUNT < 0.6 and used.min() > 0.01 and used.max() < 0.41


def test_mixup_mixes_pictures_and_labels_by_the_same_share():
    pictures = np.eye(2, dtype=np.float32).repeat(500, 0).reshape(1000, 2, 1, 1)  # of class 0, of class 1
    label, again = np.repeat([0, 1], 500).astype(np.float32), np.repeat([10, 11], 500).astype(np.float32)
    mix(0.5, pictures, [label, again], np.random.default_rng(0))
    assert np.allclose(pictures.sum(1), 1, atol=1e-6) and ((pictures > 0.05) & (pictures < 0.95)).any()
    assert (again == label + 10).all()
    share = pictures[:, 1, 0, 0]
    assert abs(label[share > 0.7].mean() - share[share > 0.7].mean()) < 0.05
    middle = (share > 0.3) & (share < 0.7)
    assert abs(label[middle].mean() - share[middle].mean()) < 0.12


def test_the_mean_of_a_pixel_is_taken_at_the_centre():
    mean = np.random.default_rng(2).uniform(0, 255, (3, 40, 36)).astype(np.float32)
    flat = np.full((3, 40, 36), 99, np.uint8)
    out = views([flat] * 3, Transform(crop=30, mean=mean, scale=0.5), rotate=10)
    assert np.allclose(out, (99 - mean[:, 5:35, 3:33]) * 0.5, atol=1e-4)


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"rotate": -1}, "rotate -1"),
        ({"erase": 1.5}, "erase 1.5"),
        ({"scale": 2}, "scale 2"),
    ],
)
def test_senseless_strengths_are_refused(fields, said):
    with pytest.raises(CaffeError, match=said):
        augment(**fields)


def test_only_bytes_are_changed():
    with pytest.raises(CaffeError, match="float32"):
        views([NOISE.astype(np.float32)], rotate=5)


def test_a_feed_changes_training_pictures_only_and_goes_on_bit_for_bit(tmp_path):
    with create_db(tmp_path / "db") as writer:
        for i in range(9):
            writer.put(b"%d" % i, datum.encode(NOISE, i, more=(i / 2, -i)))
    settings = dict(labels=3, seed=4, augment=augment(rotate=20, erase=0.5, mixup=1.0))
    with open_db(tmp_path / "db") as db:
        with BatchPrefetcher(db, 4, Transform(crop=30, mirror=True), "TRAIN", **settings) as feed:
            whole = [[array.copy() for array in feed.next()] for _ in range(5)]
        with BatchPrefetcher(db, 4, Transform(crop=30, mirror=True), "TRAIN", position=3, **settings) as feed:
            rest = [[array.copy() for array in feed.next()] for _ in range(2)]
        assert all(np.array_equal(a, b) for old, new in zip(whole[3:], rest) for a, b in zip(old, new))
        with BatchPrefetcher(db, 9, Transform(crop=30), "TEST", **settings) as feed:
            data, *labels = feed.next()
        assert np.array_equal(data, np.stack([NOISE[:, 5:35, 3:33]] * 9))
        assert [label.tolist() for label in labels] == [
            list(range(9)),
            [i / 2 for i in range(9)],
            [-i for i in range(9)],
        ]
