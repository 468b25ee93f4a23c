"""SegData: images and the labels of their pixels, cropped to a multiple of the stride."""

import cv2
import numpy as np
import pytest
from support.layer_nets import net_of

import caffe
from caffe.errors import CaffeError


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(3)
    lines = []
    for name, size in (("a", (13, 22)), ("b", (17, 9))):
        labels = rng.integers(0, 12, size).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.dstack([labels * 20] * 3))
        cv2.imwrite(str(tmp_path / f"{name}_labels.png"), labels)
        lines.append(f"{name}.png {name}_labels.png\n")
    (tmp_path / "list.txt").write_text("".join(lines))
    return tmp_path


def net(folder, transform="", fields="", phase=caffe.TEST):
    return net_of(
        f'layer {{ name: "data" type: "SegData" top: "data" top: "label" transform_param {{ {transform} }} '
        f'seg_data_param {{ source: "{folder}/list.txt" root_dir: "{folder}/" {fields} }} }}',
        phase,
    )


@pytest.mark.parametrize(
    ("transform", "shapes"),
    [
        ("", [(13, 22), (17, 9)]),
        ("stride: 4", [(12, 20), (16, 8)]),
        ("stride: 4 upper_size: 12", [(12, 12), (12, 8)]),
        ("upper_height: 10 upper_width: 20", [(10, 20), (10, 9)]),
    ],
)
def test_sizes(folder, transform, shapes):
    found = net(folder, transform)
    for height, width in [*shapes, shapes[0]]:  # the list repeats
        found.forward()
        data, labels = found.blobs["data"].data, found.blobs["label"].data
        assert data.shape == (1, 3, height, width)
        np.testing.assert_array_equal(labels * 20, data[:, :1])


def test_the_crop_is_central_in_test_and_random_in_train(folder):
    whole = cv2.imread(str(folder / "a_labels.png"), cv2.IMREAD_UNCHANGED)
    central = net(folder, "upper_size: 5")
    central.forward()
    np.testing.assert_array_equal(central.blobs["label"].data[0, 0], whole[4:9, 8:13])
    found = net(folder, "upper_size: 5 mirror: true", phase=caffe.TRAIN)
    seen = set()
    for _ in range(12):
        found.forward()
        np.testing.assert_array_equal(found.blobs["label"].data * 20, found.blobs["data"].data[:, :1])
        seen.add(found.blobs["label"].data.tobytes())
    assert len(seen) > 6


def test_errors(folder):
    with pytest.raises(CaffeError, match="balance is not implemented"):
        net(folder, fields="balance: true")
    with pytest.raises(CaffeError, match="an image of 13 x 22 is smaller than the stride, 32"):
        net(folder, "stride: 32")
