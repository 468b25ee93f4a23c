"""DenseImageData: images and the labels of their pixels, resized and cropped together."""

import cv2
import numpy as np
import pytest
from support.layer_nets import net_of

import caffe


@pytest.fixture
def folder(tmp_path):
    labels = np.repeat(np.repeat(np.arange(12).reshape(3, 4), 4, 0), 4, 1).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([labels * 20] * 3))
    cv2.imwrite(str(tmp_path / "a_labels.png"), labels)
    (tmp_path / "list.txt").write_text(f"{tmp_path}/a.png {tmp_path}/a_labels.png\n")
    return tmp_path


def batch(folder, fields, phase=caffe.TEST):
    net = net_of(
        'layer { name: "data" type: "DenseImageData" top: "data" top: "label" dense_image_data_param { '
        f'source: "{folder}/list.txt" batch_size: 2 {fields} }} }}',
        phase,
    )
    net.forward()
    return net.blobs["data"].data, net.blobs["label"].data


def test_labels_of_pixels(folder):
    data, labels = batch(folder, "")
    assert data.shape == (2, 3, 12, 16)
    np.testing.assert_array_equal(labels * 20, data[:, :1])


def test_labels_are_resized_without_interpolation(folder):
    data, labels = batch(folder, "new_height: 6 new_width: 8 is_color: false")
    assert data.shape == (2, 1, 6, 8)
    np.testing.assert_array_equal(labels[0, 0], np.repeat(np.repeat(np.arange(12).reshape(3, 4), 2, 0), 2, 1))


def test_crop_and_mirror_apply_to_both(folder):
    data, labels = batch(folder, "crop_height: 5 crop_width: 7 mirror: true", caffe.TRAIN)
    assert data.shape == (2, 3, 5, 7)
    np.testing.assert_array_equal(labels * 20, data[:, :1])
