"""Classifier: crops and averages, checked with a net that computes a weighted sum."""

import numpy as np
import pytest

import caffe
from caffe.errors import CaffeError

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 3 dim: 4 dim: 4 } } }
layer { name: "w" type: "Convolution" bottom: "data" top: "w"
  convolution_param { num_output: 2 kernel_size: 4 weight_filler { type: "gaussian" std: 1 } } }
"""


@pytest.fixture
def files(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(NET)
    net = caffe.Net(str(path), caffe.TEST)
    net.save(str(tmp_path / "net.caffemodel"))
    return str(path), str(tmp_path / "net.caffemodel"), net.params["w"][0].data


def score(weights, crop):
    """Output of the net for a (4, 4, 3) RGB crop: times 255, minus the BGR mean (1, 2, 3), times 0.5."""
    blob = (crop.transpose(2, 0, 1)[::-1] * 255 - np.array([1, 2, 3]).reshape(3, 1, 1)) * 0.5
    return (weights * blob).sum((1, 2, 3))


OPTIONS = dict(mean=np.array([1.0, 2, 3]), raw_scale=255, input_scale=0.5, channel_swap=(2, 1, 0))


def test_center_crop_and_ten_crops(files):
    model, trained, weights = files
    classifier = caffe.Classifier(model, trained, image_dims=(7, 9), **OPTIONS)
    images = np.random.default_rng(0).uniform(0, 1, (3, 7, 9, 3)).astype(np.float32)
    center = [score(weights, image[1:5, 2:6]) for image in images]
    np.testing.assert_allclose(classifier.predict(images, oversample=False).reshape(3, 2), center, rtol=1e-4)
    offsets = [(0, 0), (0, 5), (3, 0), (3, 5), (1, 2)]
    crops = [[image[y : y + 4, x : x + 4] for y, x in offsets] for image in images]
    averages = [np.mean([score(weights, crop) for c in five for crop in (c, c[:, ::-1])], 0) for five in crops]
    np.testing.assert_allclose(classifier.predict(images), averages, rtol=1e-4, atol=1e-3)


def test_default_is_the_whole_image(files):
    classifier = caffe.Classifier(*files[:2])
    image = np.random.default_rng(1).uniform(0, 1, (4, 4, 3)).astype(np.float32)
    blob = image.transpose(2, 0, 1)
    np.testing.assert_allclose(
        classifier.predict([image], False).reshape(-1), (files[2] * blob).sum((1, 2, 3)), rtol=1e-4
    )
    assert isinstance(classifier, caffe.Net) and list(classifier.image_dims) == [4, 4]


def test_errors(files, tmp_path):
    with pytest.raises(CaffeError, match="at least one image"):
        caffe.Classifier(*files[:2]).predict([])
    path = tmp_path / "none.prototxt"
    path.write_text('layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 1 } } }')
    with pytest.raises(CaffeError, match="expected a deploy net, which starts with an Input layer"):
        caffe.Classifier(str(path), None)
