"""Transform against plain loops written from Caffe's definition: (pixel - mean at the same offset) * scale."""

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
IMAGE = RNG.integers(0, 256, (9, 11, 3), dtype=np.uint8)
PLANES = RNG.integers(0, 256, (4, 3, 9, 11), dtype=np.uint8)
MEAN = RNG.uniform(0, 255, (3, 9, 11)).astype(np.float32)


def loops(planes, mean, scale, top, left, side, flip):
    """Transform one image with nested loops in float32, as Caffe does."""
    out = np.zeros((planes.shape[0], *side), np.float32)
    for c, y, x in np.ndindex(out.shape):
        value = np.float32(planes[c, top + y, left + x])
        mean_value = mean[c, top + y, left + x] if mean.ndim == 3 else mean[c % len(mean)]
        out[c, y, side[1] - 1 - x if flip else x] = (value - np.float32(mean_value)) * np.float32(scale)
    return out


@pytest.mark.parametrize("mean", [None, [104.0, 117.0, 123.0], [99.5], MEAN], ids=["none", "channel", "one", "pixel"])
@pytest.mark.parametrize("scale", [1.0, 0.00390625, 0.1])
@pytest.mark.parametrize("crop", [None, 4, 9])
def test_phase_test_crops_the_centre(mean, scale, crop):
    top, left = ((9 - crop) // 2, (11 - crop) // 2) if crop else (0, 0)
    side = (crop, crop) if crop else (9, 11)
    result = Transform(mean=mean, scale=scale, crop=crop).planes(PLANES)
    mean_array = np.zeros(1) if mean is None else np.array(mean, np.float32)
    expected = [loops(planes, mean_array, scale, top, left, side, False) for planes in PLANES]
    assert result.dtype == np.float32 and np.array_equal(result, expected)


@pytest.mark.parametrize("scale", [1.0, 0.017])
@pytest.mark.parametrize("as_list", [False, True])
def test_train_crops_are_windows_of_the_mean_subtracted_image(scale, as_list):
    transform = Transform(mean=MEAN, scale=scale, crop=8, mirror=True)
    batch = list(PLANES) if as_list else PLANES
    positions = [(top, left, flip) for top in range(2) for left in range(4) for flip in (False, True)]
    windows = {
        loops(planes, MEAN, scale, top, left, (8, 8), flip).tobytes(): (index, top, left, flip)
        for index, planes in enumerate(PLANES)
        for top, left, flip in positions
    }
    seen = set()
    for seed in range(40):
        crops = transform.planes(batch, "TRAIN", np.random.default_rng(seed))
        for index, crop in enumerate(crops):
            source, *position = windows[crop.tobytes()]
            assert source == index
            seen.add(tuple(position))
    assert len(seen) == 16  # every offset 0..H-crop, 0..W-crop and both mirrors occur


def test_offsets_and_mirrors_are_uniform_and_independent():
    coordinates = np.arange(7 * 7, dtype=np.float32).reshape(1, 1, 7, 7).repeat(6000, 0)
    crops = Transform(crop=3, mirror=True).planes(coordinates, 0, np.random.default_rng(5))
    left, right = crops[:, 0, 0, 0], crops[:, 0, 0, -1]
    flipped = left > right
    corner = np.minimum(left, right).astype(int)
    counts = np.bincount((corner // 7 * 5 + corner % 7) * 2 + flipped, minlength=50)
    assert counts.size == 50 and abs(counts - 120).max() < 60


def test_mirror_in_phase_test_needs_an_rng():
    transform = Transform(mirror=True)
    assert np.array_equal(transform.planes(PLANES), PLANES)
    batch = np.tile(PLANES, (8, 1, 1, 1))
    results = transform.planes(batch, 1, np.random.default_rng(0))
    flips = [np.array_equal(result, planes[..., ::-1]) for result, planes in zip(results, batch)]
    assert 5 < sum(flips) < 27
    with pytest.raises(CaffeError, match="needs an rng"):
        transform.planes(PLANES, "TRAIN")


def test_same_rng_gives_the_same_crops():
    transform = Transform(crop=5, mirror=True, mean=MEAN)
    first, second = (transform.planes(PLANES, "TRAIN", np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first, second)


def test_images_of_different_sizes_need_a_crop():
    images = [PLANES[0], PLANES[1, :, :6], PLANES[2, :, :, :7]]
    crops = Transform(crop=5).planes(images)
    assert np.array_equal(crops[1], images[1][:, 0:5, 3:8])
    assert Transform(crop=5).planes(images, "TRAIN", np.random.default_rng(0)).shape == (3, 3, 5, 5)
    with pytest.raises(CaffeError, match="one batch"):
        Transform().planes(images)


def test_output_buffer_and_float_planes():
    out = np.full((4, 3, 5, 5), np.nan, np.float32)
    transform = Transform(crop=5, mean=MEAN)
    assert transform.planes(PLANES, out=out) is out and np.array_equal(out, transform.planes(PLANES))
    assert np.array_equal(transform.planes(PLANES.astype(np.float64)), out)
    assert np.array_equal(transform.planes(PLANES[0]), out[0])


def test_image_agrees_with_convert_imageset_and_the_data_layer():
    mean = RNG.uniform(0, 255, (3, 12, 10))
    transform = Transform(size=(12, 10), crop=8, mean=mean, scale=0.5, mirror=True)
    record = cv2.resize(IMAGE, (10, 12)).transpose(2, 0, 1)
    expected = loops(record, transform.mean, 0.5, 2, 1, (8, 8), False)
    assert np.array_equal(transform.image(IMAGE), expected)
    assert transform.shape == (3, 8, 8)
    assert np.array_equal(transform.batch([IMAGE, IMAGE[:5]])[0], expected)


def test_order_and_channels():
    assert np.array_equal(Transform(order="RGB").image(IMAGE), IMAGE[..., ::-1].transpose(2, 0, 1))
    means = Transform(order="RGB", mean=[1, 2, 3]).image(IMAGE)
    assert means[0, 0, 0] == np.float32(IMAGE[0, 0, 2]) - 1  # the mean is in the net's order
    alpha = np.dstack([IMAGE, IMAGE[..., 0]])
    assert np.array_equal(Transform().image(alpha), IMAGE.transpose(2, 0, 1))
    grey = IMAGE[..., 1]
    assert np.array_equal(Transform().image(grey), np.stack([grey] * 3))
    assert np.array_equal(Transform().image(grey[..., None]), np.stack([grey] * 3))
    assert np.array_equal(Transform(gray=True).image(IMAGE)[0], cv2.cvtColor(IMAGE, cv2.COLOR_BGR2GRAY))
    assert np.array_equal(Transform(gray=True).image(grey)[0], grey)


def test_oversample_returns_ten_crops_in_pycaffes_order():
    transform = Transform(crop=4, mean=MEAN)
    crops = transform.oversample(IMAGE)
    planes = IMAGE.transpose(2, 0, 1)
    offsets = [(0, 0), (0, 7), (5, 0), (5, 7), (2, 3)]
    expected = [loops(planes, MEAN, 1, y, x, (4, 4), flip) for flip in (False, True) for y, x in offsets]
    assert np.array_equal(crops, expected)
    assert np.array_equal(crops[4], transform.image(IMAGE))
    with pytest.raises(CaffeError, match="need a crop"):
        Transform().oversample(IMAGE)


def test_mean_of_another_size_is_rejected_or_resized():
    mean = RNG.uniform(50, 200, (3, 32, 32)).astype(np.float32)
    with pytest.raises(CaffeError, match=r"the mean is 32x32, the image 9x11.*mean_fit"):
        Transform(mean=mean).image(IMAGE)
    result = Transform(mean=mean, mean_fit="resize").image(IMAGE)
    fitted = fit_mean(mean, (9, 11))
    assert np.array_equal(result, IMAGE.transpose(2, 0, 1) - fitted)
    # bilinear interpolation of one pixel, whose centre maps to (y + .5) * 32 / 9 - .5
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
        ({"application": [1]}, "application must be a dict of JSON values"),
        ({"application": {"x": np.inf}}, "application must be a dict of JSON values"),
        ({"application": {"x": np.zeros(2)}}, "application must be a dict of JSON values"),
        ({"mean_fit": "x", "order": "x", "scale": "x"}, "order.*;.*mean_fit.*;.*scale"),
    ],
)
def test_invalid_fields_are_reported_together(fields, match):
    with pytest.raises(CaffeError, match=match):
        Transform(**fields)


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: Transform().image(None), "is it an image file"),
        (lambda: Transform().image(IMAGE / 255), "float64"),
        (lambda: Transform().image(IMAGE[..., :2]), "1, 3 or 4 channels"),
        (lambda: Transform().batch([]), "at least one image"),
        (lambda: Transform().batch([IMAGE, IMAGE[:3]]), "image 1 and the first, .* differ in size"),
        (lambda: Transform(crop=10).image(IMAGE), "crop 10 is larger than the image, 9x11"),
        (lambda: Transform(crop=10).planes(PLANES), "crop 10"),
        (lambda: Transform().planes(PLANES, "VALID"), "phase"),
        (lambda: Transform(mean=[1, 2]).planes(PLANES), "2 channels, the image 3"),
        (lambda: Transform(mean=MEAN[:1]).planes(PLANES), "1 channels, the image 3"),
    ],
)
def test_invalid_input(call, match):
    with pytest.raises(CaffeError, match=match):
        call()


@pytest.mark.parametrize("mean", [None, [104.1, 117.2, 122.9], MEAN], ids=["none", "channel", "pixel"])
def test_json_round_trip(tmp_path, mean):
    first = Transform("RGB", (9, 11), 7, mean, "resize", 1 / 255, True, False, "area", {"x": [0.4]})
    (tmp_path / "in").mkdir()
    first.to_json(tmp_path / "in/t.json")
    (tmp_path / "in").rename(tmp_path / "moved")  # the path of the mean is relative to the file
    second = Transform.from_json(tmp_path / "moved/t.json")
    assert second == first and repr(second) == repr(first)
    assert np.array_equal(second.image(IMAGE), first.image(IMAGE))


def test_changed_missing_or_outside_mean_is_rejected(tmp_path):
    Transform(mean=MEAN).to_json(tmp_path / "t.json")
    np.save(tmp_path / "t.npy", MEAN + 1)
    with pytest.raises(CaffeError, match="SHA-256 differs"):
        Transform.from_json(tmp_path / "t.json")
    (tmp_path / "t.npy").unlink()
    with pytest.raises(CaffeError, match="No such file"):
        Transform.from_json(tmp_path / "t.json")
    fields = json.loads((tmp_path / "t.json").read_text())
    for name in ("/etc/passwd", "../t.npy", None):
        with pytest.raises(CaffeError, match="in the folder of the JSON file"):
            Transform.from_dict(dict(fields, mean={"file": name, "sha256": ""}), tmp_path)
    with pytest.raises(CaffeError, match="no field 'ordr'; did you mean 'order'"):
        Transform.from_dict({"ordr": "BGR"}, tmp_path)
    (tmp_path / "t.json").write_text("{")
    with pytest.raises(CaffeError, match="t.json"):
        Transform.from_json(tmp_path / "t.json")


def test_replace_and_equality():
    transform = Transform(mean=MEAN, crop=5)
    assert transform.replace(crop=6).crop == 6 and transform.replace(crop=6).replace(crop=5) == transform
    assert transform != transform.replace(mean=MEAN + 1) and transform != "x"


def test_planar():
    assert np.array_equal(planar(IMAGE), IMAGE.transpose(2, 0, 1))
    assert np.array_equal(planar(IMAGE[:, ::2]), IMAGE[:, ::2].transpose(2, 0, 1))
    assert planar(IMAGE[..., 0]).shape == (1, 9, 11)


def test_device_modules_load_without_torch_or_protobuf():
    code = (
        "import sys, caffe.device.transform, caffe.io\n"
        "print([m for m in ('torch', 'google', 'onnx') if m in sys.modules])"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "name",
    ["device/transform", "device/transform_validation", "device/resample", "io", "errors", "utils/atomic_io"],
)
def test_device_modules_are_valid_python_3_7(name):
    import ast

    import caffe

    source = (Path(caffe.__file__).parent / (name + ".py")).read_text()
    ast.parse(source, feature_version=(3, 7))


def test_settings_of_an_application_are_kept(tmp_path):
    settings = {"margin": 0.4, "points": [[0.3, 0.28], [0.7, 0.28]]}
    Transform(size=9, application=settings).to_json(tmp_path / "t.json")
    read = Transform.from_json(tmp_path / "t.json")
    assert read.application == settings and read == Transform(size=9, application=settings) != Transform(size=9)
    fields = json.loads((tmp_path / "t.json").read_text())
    del fields["application"]
    (tmp_path / "t.json").write_text(json.dumps(fields))
    assert Transform.from_json(tmp_path / "t.json") == Transform(size=9)


def test_deeply_nested_json_is_rejected(tmp_path):
    (tmp_path / "t.json").write_text("[" * 100_000)
    with pytest.raises(CaffeError, match="t.json"):
        Transform.from_json(tmp_path / "t.json")


def test_shrink_area_averages_when_reducing_and_is_linear_when_enlarging():
    stripes = np.zeros((8, 8, 3), np.uint8)
    stripes[:, ::4] = 200  # linear interpolation by 1/4 samples between the stripes
    assert (Transform(size=2, shrink="area").image(stripes) == 50).all()
    assert (Transform(size=2).image(stripes) == 0).all()
    noise = RNG.integers(0, 256, (5, 5, 3), np.uint8)
    assert np.array_equal(Transform(size=9, shrink="area").image(noise), Transform(size=9).image(noise))
    with pytest.raises(CaffeError, match="shrink must be linear or area"):
        Transform(shrink="cubic")
