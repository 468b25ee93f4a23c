"""noise_param: each change on small images with known results."""

import cv2
import numpy as np
import pytest

from caffe.data.boxes import noise
from caffe.proto import caffe_pb2
from caffe.proto.text import parse


def changed(image, text):
    param = caffe_pb2.TransformationParameter()
    parse(f"noise_param {{ {text} }}", param, "p")
    before = image.copy()
    result = noise.apply(image, param.noise_param[0], np.random.default_rng(1))
    np.testing.assert_array_equal(image, before)
    assert result.dtype == np.uint8 and result.shape == image.shape
    return result


@pytest.fixture
def image():
    return np.random.default_rng(2).integers(0, 256, (20, 30, 3)).astype(np.uint8)


def test_colours(image):
    np.testing.assert_array_equal(changed(image, "inverse: true"), 255 - image)
    np.testing.assert_array_equal(changed(image, "posterize: true"), np.array([32, 96, 160, 224])[image // 64])
    grey = changed(image, "decolorize: true").astype(float)
    expected = image @ np.array([0.114, 0.587, 0.299])
    assert np.abs(grey - expected[..., None]).max() <= 1
    hsv = changed(np.full((1, 1, 3), (0, 0, 200), np.uint8), "convert_to_hsv: true")
    assert hsv[0, 0].tolist() == [0, 255, 200]  # red


def test_brightness_is_spread():
    narrow = np.linspace(100, 120, 256).astype(np.uint8).reshape(16, 16)
    for text in ("hist_eq: true", "clahe: true"):
        assert np.ptp(changed(narrow, text).astype(int)) > 2 * np.ptp(narrow.astype(int))
        color = np.repeat(narrow[..., None], 3, axis=2)
        assert np.ptp(changed(color, text).astype(int)) > 2 * np.ptp(narrow.astype(int))
    assert np.ptp(changed(narrow, "hist_eq: true").astype(int)) == 255


def test_neighbours():
    point = np.zeros((9, 9), np.uint8)
    point[4, 4] = 255
    blurred = changed(point, "gauss_blur: true")
    weights = np.exp(-((np.arange(9) - 4.0) ** 2) / (2 * 1.5**2)) * (abs(np.arange(9) - 4) <= 3)
    weights /= weights.sum()
    assert np.abs(blurred - 255 * np.outer(weights, weights)).max() <= 1
    hole = 255 - point
    assert (changed(hole, "erode: true") == 0).sum() == 5  # a cross


def test_jpeg_and_salt(image):
    smooth = cv2.GaussianBlur(image, (9, 9), 4)
    worse = np.abs(changed(smooth, "jpeg: 5").astype(int) - smooth).mean()
    better = np.abs(changed(smooth, "jpeg: 95").astype(int) - smooth).mean()
    assert 0 < better < worse
    salted = changed(image, "saltpepper: true saltpepper_param { fraction: 0.1 value: 7 value: 8 value: 9 }")
    different = (salted != image).any(axis=2)
    assert 40 <= different.sum() <= 60 and (salted[different] == (7, 8, 9)).all()


def test_what_is_not_implemented():
    param = caffe_pb2.NoiseParameter(convert_to_lab=True, jpeg=3, mu=1)
    assert noise.missing(param) == ["convert_to_lab", "mu"]
