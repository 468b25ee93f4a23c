"""ImageSegData: images and the labels of their pixels, cropped, scaled and padded together."""

import cv2
import numpy as np
import pytest
from support.layer_nets import net_of

import caffe
from caffe.errors import CaffeError


@pytest.fixture
def folder(tmp_path):
    """Two images whose blue value is ten times the label of the pixel."""
    rng = np.random.default_rng(5)
    for name in "ab":
        labels = np.repeat(np.repeat(rng.integers(0, 20, (3, 4)), 4, 0), 4, 1).astype(np.uint8)
        image = np.dstack([labels * 10, labels * 0 + 7, labels * 0 + 9])
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
        cv2.imwrite(str(tmp_path / f"{name}_labels.png"), labels)
    (tmp_path / "list.txt").write_text("a.png a_labels.png\nb.png b_labels.png\n")
    return tmp_path


def data_net(folder, fields="label_type: PIXEL", transform="", batch=2, phase=caffe.TEST):
    return net_of(
        'layer { name: "data" type: "ImageSegData" top: "data" top: "label" top: "size" image_data_param { '
        f'source: "{folder}/list.txt" root_folder: "{folder}/" batch_size: {batch} {fields} }} '
        f"transform_param {{ {transform} }} }}",
        phase,
    )


def test_labels_of_pixels(folder):
    net = data_net(folder)
    net.forward()
    data, labels = net.blobs["data"].data, net.blobs["label"].data
    assert data.shape == (2, 3, 12, 16) and labels.shape == (2, 1, 12, 16)
    np.testing.assert_array_equal(data[:, :1], labels * 10)
    np.testing.assert_array_equal(net.blobs["size"].data, [[[[12, 16]]]] * 2)


@pytest.mark.parametrize("transform", ["crop_size: 8 mirror: true", "crop_height: 9 crop_width: 5 scale_factors: 1"])
def test_random_crops_take_image_and_labels_from_one_place(folder, transform):
    net = data_net(folder, transform=transform, phase=caffe.TRAIN)
    seen = set()
    for _ in range(6):
        net.forward()
        np.testing.assert_array_equal(net.blobs["data"].data[:, :1], net.blobs["label"].data * 10)
        seen.add(net.blobs["label"].data.tobytes())
    assert len(seen) > 1


def test_scaled_images_keep_their_labels(folder):
    net = data_net(folder, transform="scale_factors: 2 crop_size: 24", phase=caffe.TRAIN)
    net.forward()
    data, labels = net.blobs["data"].data[:, :1], net.blobs["label"].data
    assert (data == labels * 10).mean() > 0.5  # not where colours are interpolated
    assert set(np.unique(labels)) <= set(range(20))


def test_small_images_are_padded_with_the_mean_and_the_ignored_label(folder):
    net = data_net(
        folder, "label_type: PIXEL ignore_label: 77", "mean_value: 5 mean_value: 7 mean_value: 9 crop_size: 20"
    )
    net.forward()
    np.testing.assert_array_equal(net.blobs["data"].data[:, :, 12:], 0)
    np.testing.assert_array_equal(net.blobs["label"].data[:, 0, :, 16:], 77)


def test_one_label_for_all_pixels_or_none(folder):
    (folder / "list.txt").write_text("a.png 3\nb.png 4\n")
    net = data_net(folder, "")
    net.forward()
    assert np.unique(net.blobs["label"].data[0]) == 3 and np.unique(net.blobs["label"].data[1]) == 4
    (folder / "list.txt").write_text("a.png\n")
    net = data_net(folder, "label_type: NONE", batch=1)
    net.forward()
    assert np.unique(net.blobs["label"].data) == 255


def test_faults(folder):
    with pytest.raises(CaffeError, match="list.txt:1: expected an integer label"):
        data_net(folder, "")
    (folder / "list.txt").write_text("a.png b.png\n")
    with pytest.raises(CaffeError, match="the labels must be a gray image"):
        data_net(folder)
    (folder / "list.txt").write_text("a.png\n")
    with pytest.raises(CaffeError, match="list.txt:1: expected `image labels`"):
        data_net(folder)
