"""Detector: crops, warping and the context border."""

import cv2
import numpy as np
import pytest

import caffe
from caffe.errors import CaffeError

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: "mean" type: "Pooling" bottom: "data" top: "mean"
  pooling_param { pool: AVE global_pooling: true } }
"""


@pytest.fixture
def net_file(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    return str(tmp_path / "net.prototxt")


@pytest.fixture
def image_files(tmp_path):
    rng, paths = np.random.default_rng(0), []
    for i in range(2):
        paths.append(str(tmp_path / f"{i}.png"))
        cv2.imwrite(paths[-1], rng.integers(0, 256, (20, 30, 3), np.uint8))
    return paths


def test_windows_of_the_input_size_are_not_resized(net_file, image_files):
    detector = caffe.Detector(net_file, None, raw_scale=255, channel_swap=(2, 1, 0), mean=np.array([5.0, 6, 7]))
    windows = [[(0, 0, 8, 8), (12, 22, 20, 30)], np.array([(3, 4, 11, 12)])]
    detections = detector.detect_windows(zip(image_files, windows))
    assert [d["filename"] for d in detections] == [image_files[0], image_files[0], image_files[1]]
    for d in detections:
        y1, x1, y2, x2 = d["window"]
        crop = cv2.imread(d["filename"])[y1:y2, x1:x2].astype(np.float64)
        np.testing.assert_allclose(d["prediction"].reshape(3), crop.mean((0, 1)) - [5, 6, 7], rtol=1e-3, atol=1e-3)


def test_context_outside_the_image_is_the_mean(net_file):
    detector = caffe.Detector(
        net_file,
        None,
        raw_scale=255,
        channel_swap=(2, 1, 0),
        mean=np.full((3, 8, 8), 51.0) + np.arange(3)[:, None, None],
        context_pad=2,
    )
    image = np.ones((20, 30, 3), np.float32)
    crop = detector.crop(image, np.array([0, 0, 7, 7]))
    # the box of 8 grows to 16 around its centre 4: 4 of 17 pixels are outside, which is 2 of 8 after warping
    assert crop.shape == (8, 8, 3)
    expected = np.array([53.0, 52, 51]) / 255  # RGB, as images are before the Transformer
    np.testing.assert_allclose(crop[:2], np.broadcast_to(expected, (2, 8, 3)), rtol=1e-6)
    np.testing.assert_allclose(crop[:, :2], np.broadcast_to(expected, (8, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(crop[2:, 2:], 1, rtol=1e-6)
    inside = detector.crop(image, np.array([8, 10, 12, 15]))
    np.testing.assert_allclose(inside, 1, rtol=1e-6)


def test_no_windows_give_no_detections(net_file, image_files):
    assert caffe.Detector(net_file, None).detect_windows([(image_files[0], [])]) == []


def test_errors(net_file, image_files):
    detector = caffe.Detector(net_file, None)
    with pytest.raises(CaffeError, match="is not inside the image of 20x30"):
        detector.detect_windows([(image_files[0], [(5, 40, 9, 50)])])
    with pytest.raises(CaffeError, match="MATLAB.*detect_windows"):
        detector.detect_selective_search(image_files)
    with pytest.raises(CaffeError, match="context_pad 4"):
        caffe.Detector(net_file, None, context_pad=4)
