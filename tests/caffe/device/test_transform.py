"""Transform against plain loops written from Caffe's definition: (pixel - mean at the same place) * scale."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffe.device.transform import Transform, fit_mean, planar
from caffe.errors import CaffeError

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (9, 11, 3), dtype=np.uint8)
PLANES = RNG.integers(0, 256, (4, 3, 9, 11), dtype=np.uint8)
MEAN = RNG.uniform(0, 255, (3, 9, 11)).astype(np.float32)


def loops(planes, mean, scale, top, left, side, flip):
    """One picture as Caffe's four nested loops make it, in float32."""
    out = np.zeros((planes.shape[0], *side), np.float32)
    for c, y, x in np.ndindex(out.shape):
        value = np.float32(planes[c, top + y, left + x])
        take = mean[c, top + y, left + x] if mean.ndim == 3 else mean[c % len(mean)]
        out[c, y, side[1] - 1 - x if flip else x] = (value - np.float32(take)) * np.float32(scale)
    return out


@pytest.mark.parametrize("mean", [None, [104.0, 117.0, 123.0], [99.5], MEAN], ids=["none", "channel", "one", "pixel"])
@pytest.mark.parametrize("scale", [1.0, 0.00390625, 0.1])
@pytest.mark.parametrize("crop", [None, 4, 9])
def test_the_centre_in_test(mean, scale, crop):
    top, left = ((9 - crop) // 2, (11 - crop) // 2) if crop else (0, 0)
    side = (crop, crop) if crop else (9, 11)
    got = Transform(mean=mean, scale=scale, crop=crop).planes(PLANES)
    plain = np.zeros(1) if mean is None else np.array(mean, np.float32)
    want = [loops(planes, plain, scale, top, left, side, False) for planes in PLANES]
    assert got.dtype == np.float32 and np.array_equal(got, want)


@pytest.mark.parametrize("scale", [1.0, 0.017])
@pytest.mark.parametrize("as_list", [False, True])
def test_train_views_are_windows_of_the_mean_subtracted_picture(scale, as_list):
    transform = Transform(mean=MEAN, scale=scale, crop=8, mirror=True)
    batch = list(PLANES) if as_list else PLANES
    places = [(top, left, flip) for top in range(2) for left in range(4) for flip in (False, True)]
    windows = {
        loops(planes, MEAN, scale, top, left, (8, 8), flip).tobytes(): (index, top, left, flip)
        for index, planes in enumerate(PLANES)
        for top, left, flip in places
    }
    seen = set()
    for seed in range(40):
        views = transform.planes(batch, "TRAIN", np.random.default_rng(seed))
        for index, view in enumerate(views):
            of, *place = windows[view.tobytes()]
            assert of == index
            seen.add(tuple(place))
    assert len(seen) == 16  # every offset 0..H-crop, 0..W-crop and both mirrors occur


def test_offsets_and_mirrors_are_uniform_and_independent():
    places = np.arange(7 * 7, dtype=np.float32).reshape(1, 1, 7, 7).repeat(6000, 0)
    views = Transform(crop=3, mirror=True).planes(places, 0, np.random.default_rng(5))
    left, right = views[:, 0, 0, 0], views[:, 0, 0, -1]
    flipped = left > right
    corner = np.minimum(left, right).astype(int)
    counts = np.bincount((corner // 7 * 5 + corner % 7) * 2 + flipped, minlength=50)
    assert counts.size == 50 and abs(counts - 120).max() < 60


def test_mirror_in_test_flips_with_an_rng_and_never_without():
    transform = Transform(mirror=True)
    assert np.array_equal(transform.planes(PLANES), PLANES)
    flips = [
        np.array_equal(view, planes[..., ::-1])
        for view, planes in zip(
            transform.planes(np.tile(PLANES, (8, 1, 1, 1)), 1, np.random.default_rng(0)), np.tile(PLANES, (8, 1, 1, 1))
        )
    ]
    assert 5 < sum(flips) < 27
    with pytest.raises(CaffeError, match="needs an rng"):
        transform.planes(PLANES, "TRAIN")


def test_the_same_rng_gives_the_same_views():
    transform = Transform(crop=5, mirror=True, mean=MEAN)
    one, two = (transform.planes(PLANES, "TRAIN", np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(one, two)


def test_pictures_of_several_sizes_need_a_crop():
    pictures = [PLANES[0], PLANES[1, :, :6], PLANES[2, :, :, :7]]
    views = Transform(crop=5).planes(pictures)
    assert np.array_equal(views[1], pictures[1][:, 0:5, 3:8])
    assert Transform(crop=5).planes(pictures, "TRAIN", np.random.default_rng(0)).shape == (3, 3, 5, 5)
    with pytest.raises(CaffeError, match="one batch"):
        Transform().planes(pictures)


def test_into_a_buffer_and_float_planes():
    out = np.full((4, 3, 5, 5), np.nan, np.float32)
    transform = Transform(crop=5, mean=MEAN)
    assert transform.planes(PLANES, out=out) is out and np.array_equal(out, transform.planes(PLANES))
    assert np.array_equal(transform.planes(PLANES.astype(np.float64)), out)
    assert np.array_equal(transform.planes(PLANES[0]), out[0])


def test_image_is_the_road_of_convert_imageset_and_the_data_layer():
    mean = RNG.uniform(0, 255, (3, 12, 10))
    transform = Transform(size=(12, 10), crop=8, mean=mean, scale=0.5, mirror=True)
    record = cv2.resize(PICTURE, (10, 12)).transpose(2, 0, 1)
    want = loops(record, transform.mean, 0.5, 2, 1, (8, 8), False)
    assert np.array_equal(transform.image(PICTURE), want)
    assert transform.shape == (3, 8, 8)
    assert np.array_equal(transform.batch([PICTURE, PICTURE[:5]])[0], want)


def test_order_and_channels():
    assert np.array_equal(Transform(order="RGB").image(PICTURE), PICTURE[..., ::-1].transpose(2, 0, 1))
    means = Transform(order="RGB", mean=[1, 2, 3]).image(PICTURE)
    assert means[0, 0, 0] == np.float32(PICTURE[0, 0, 2]) - 1  # the mean is in the net's order
    alpha = np.dstack([PICTURE, PICTURE[..., 0]])
    assert np.array_equal(Transform().image(alpha), PICTURE.transpose(2, 0, 1))
    grey = PICTURE[..., 1]
    assert np.array_equal(Transform().image(grey), np.stack([grey] * 3))
    assert np.array_equal(Transform().image(grey[..., None]), np.stack([grey] * 3))
    assert np.array_equal(Transform(gray=True).image(PICTURE)[0], cv2.cvtColor(PICTURE, cv2.COLOR_BGR2GRAY))
    assert np.array_equal(Transform(gray=True).image(grey)[0], grey)


def test_ten_views_in_pycaffes_order():
    transform = Transform(crop=4, mean=MEAN)
    views = transform.oversample(PICTURE)
    planes = PICTURE.transpose(2, 0, 1)
    places = [(0, 0), (0, 7), (5, 0), (5, 7), (2, 3)]
    want = [loops(planes, MEAN, 1, y, x, (4, 4), flip) for flip in (False, True) for y, x in places]
    assert np.array_equal(views, want)
    assert np.array_equal(views[4], transform.image(PICTURE))
    with pytest.raises(CaffeError, match="need a crop"):
        Transform().oversample(PICTURE)


def test_a_mean_of_another_size_is_refused_or_fitted_on_request():
    mean = RNG.uniform(50, 200, (3, 32, 32)).astype(np.float32)
    with pytest.raises(CaffeError, match=r"the mean is 32x32, the picture 9x11.*mean_fit"):
        Transform(mean=mean).image(PICTURE)
    got = Transform(mean=mean, mean_fit="resize").image(PICTURE)
    fitted = fit_mean(mean, (9, 11))
    assert np.array_equal(got, PICTURE.transpose(2, 0, 1) - fitted)
    # bilinear by hand at one pixel: its centre lies at (y + .5) * 32 / 9 - .5
    y, x = (4 + 0.5) * 32 / 9 - 0.5, (5 + 0.5) * 32 / 11 - 0.5
    y0, x0, a, b = int(y), int(x), y % 1, x % 1
    block = mean[1, y0 : y0 + 2, x0 : x0 + 2]
    assert fitted[1, 4, 5] == pytest.approx(np.array([1 - a, a]) @ block @ np.array([1 - b, b]), abs=1e-3)
    assert np.array_equal(fit_mean(np.full((1, 4, 4), 7.0), (3, 3)), np.full((1, 3, 3), 7.0))


@pytest.mark.parametrize(
    "fields, match",
    [
        ({"order": "BRG"}, "order must be BGR or RGB, received 'BRG'"),
        ({"size": (0, 3)}, "size must be"),
        ({"size": "227"}, "size must be"),
        ({"crop": 2.5}, "crop must be"),
        ({"crop": 9, "size": 8}, "larger than size 8x8"),
        ({"mean": np.zeros((2, 2))}, "mean must be"),
        ({"mean": [np.nan]}, "not finite"),
        ({"mean": "mean.npy"}, "mean must"),
        ({"scale": float("inf")}, "scale must be a finite"),
        ({"margin": -1}, "margin must be .* at least 0"),
        ({"landmarks": [[0, 0]] * 4}, "landmarks must be five"),
        ({"landmarks": "eyes"}, "landmarks must be five"),
        ({"landmarks": [[0, 0]] * 4 + [[0, np.inf]]}, "landmarks must be five"),
        ({"mean_fit": "x", "order": "x", "scale": "x"}, "order.*;.*mean_fit.*;.*scale"),
    ],
)
def test_faults_are_named_all_at_once(fields, match):
    with pytest.raises(CaffeError, match=match):
        Transform(**fields)


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: Transform().image(None), "is it a picture file"),
        (lambda: Transform().image(PICTURE / 255), "float64"),
        (lambda: Transform().image(PICTURE[..., :2]), "1, 3 or 4 channels"),
        (lambda: Transform().batch([]), "no pictures"),
        (lambda: Transform().batch([PICTURE, PICTURE[:3]]), "picture 1 has another size"),
        (lambda: Transform(crop=10).image(PICTURE), "crop 10 is larger than the picture, 9x11"),
        (lambda: Transform(crop=10).planes(PLANES), "crop 10"),
        (lambda: Transform().planes(PLANES, "VALID"), "phase"),
        (lambda: Transform(mean=[1, 2]).planes(PLANES), "2 channels, the picture 3"),
        (lambda: Transform(mean=MEAN[:1]).planes(PLANES), "1 channels, the picture 3"),
    ],
)
def test_what_does_not_fit(make, match):
    with pytest.raises(CaffeError, match=match):
        make()


@pytest.mark.parametrize("mean", [None, [104.1, 117.2, 122.9], MEAN], ids=["none", "channel", "pixel"])
def test_json_and_back(tmp_path, mean):
    first = Transform("RGB", (9, 11), 7, mean, "resize", 1 / 255, True, False, 0.4)
    (tmp_path / "in").mkdir()
    first.to_json(tmp_path / "in/t.json")
    (tmp_path / "in").rename(tmp_path / "moved")  # the mean is named relative to the file
    second = Transform.from_json(tmp_path / "moved/t.json")
    assert second == first and repr(second) == repr(first)
    assert np.array_equal(second.image(PICTURE), first.image(PICTURE))


def test_a_changed_or_foreign_mean_is_refused(tmp_path):
    Transform(mean=MEAN).to_json(tmp_path / "t.json")
    np.save(tmp_path / "t.npy", MEAN + 1)
    with pytest.raises(CaffeError, match="sha256 differs"):
        Transform.from_json(tmp_path / "t.json")
    (tmp_path / "t.npy").unlink()
    with pytest.raises(CaffeError, match="No such file"):
        Transform.from_json(tmp_path / "t.json")
    fields = json.loads((tmp_path / "t.json").read_text())
    for name in ("/etc/passwd", "../t.npy", None):
        with pytest.raises(CaffeError, match="beside the JSON"):
            Transform.from_dict(dict(fields, mean={"file": name, "sha256": ""}), tmp_path)
    with pytest.raises(CaffeError, match="no field 'ordr'; did you mean 'order'"):
        Transform.from_dict({"ordr": "BGR"}, tmp_path)
    (tmp_path / "t.json").write_text("{")
    with pytest.raises(CaffeError, match="t.json"):
        Transform.from_json(tmp_path / "t.json")


def test_replace_and_equality():
    one = Transform(mean=MEAN, crop=5)
    assert one.replace(crop=6).crop == 6 and one.replace(crop=6).replace(crop=5) == one
    assert one != one.replace(mean=MEAN + 1) and one != "x"


def test_planar():
    assert np.array_equal(planar(PICTURE), PICTURE.transpose(2, 0, 1))
    assert np.array_equal(planar(PICTURE[:, ::2]), PICTURE[:, ::2].transpose(2, 0, 1))
    assert planar(PICTURE[..., 0]).shape == (1, 9, 11)


def test_the_device_wing_loads_without_torch_or_protobuf():
    code = "import sys, caffe.device.transform, caffe.io;print([m for m in ('torch', 'google', 'onnx') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["transform", "transform_fields", "resample", "io", "errors", "files"])
def test_the_device_wing_is_written_for_python_3_7(name):
    import ast

    import caffe

    source = (Path(caffe.__file__).parent / (name + ".py")).read_text()
    ast.parse(source, feature_version=(3, 7))


def test_json_without_landmarks_is_what_earlier_versions_wrote(tmp_path):
    points = ((0.3, 0.28), (0.7, 0.28), (0.5, 0.5), (0.33, 0.68), (0.67, 0.68))
    Transform(size=9, landmarks=np.array(points)).to_json(tmp_path / "t.json")
    assert Transform.from_json(tmp_path / "t.json").landmarks == points
    fields = json.loads((tmp_path / "t.json").read_text())
    del fields["landmarks"]
    (tmp_path / "t.json").write_text(json.dumps(fields))
    assert Transform.from_json(tmp_path / "t.json") == Transform(size=9)


def test_json_nested_thousands_deep_is_refused(tmp_path):
    (tmp_path / "t.json").write_text("[" * 100_000)
    with pytest.raises(CaffeError, match="t.json"):
        Transform.from_json(tmp_path / "t.json")


def test_area_averages_what_it_shrinks_and_enlarges_as_ever():
    stripes = np.zeros((8, 8, 3), np.uint8)
    stripes[:, ::4] = 200  # linear shrinking by 4 looks between the stripes
    assert (Transform(size=2, shrink="area").image(stripes) == 50).all()
    assert (Transform(size=2).image(stripes) == 0).all()
    noise = RNG.integers(0, 256, (5, 5, 3), np.uint8)
    assert np.array_equal(Transform(size=9, shrink="area").image(noise), Transform(size=9).image(noise))
    with pytest.raises(CaffeError, match="shrink must be linear or area"):
        Transform(shrink="cubic")
