"""ImageData: files of a list, compared with direct OpenCV calls."""

import cv2
import numpy as np
import pytest
from support.layer_nets import net_of

import caffe
from caffe.errors import CaffeError

SIZES = [(6, 8), (5, 5), (9, 4), (6, 6), (7, 7)]


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    lines = []
    for i, (height, width) in enumerate(SIZES):
        name = f"an image {i}.png"
        cv2.imwrite(str(tmp_path / name), rng.integers(0, 256, (height, width, 3), np.uint8))
        lines.append(f"{name} {i}")
    (tmp_path / "list.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def net(folder, more="new_height: 4 new_width: 6", transform="", batch=2, phase=caffe.TEST):
    return net_of(
        (
            f'layer {{ name: "i" type: "ImageData" top: "data" top: "label" transform_param {{ {transform} }} '
            f'image_data_param {{ source: "{folder}/list.txt" root_folder: "{folder}/" batch_size: {batch} {more} }} }}'
        ),
        phase,
    )


def labels(data_net, count):
    out = []
    for _ in range(count):
        data_net.forward()
        out += list(data_net.blobs["label"].data.astype(int))
    return out


def test_images_are_read_in_order_and_resized(folder):
    data_net, order = net(folder), [0, 1, 2, 3, 4] * 3
    for start in range(0, 10, 2):
        data_net.forward()
        for item, i in zip(data_net.blobs["data"].data, order[start:]):
            image = cv2.imread(str(folder / f"an image {i}.png"))
            assert np.array_equal(item, cv2.resize(image, (6, 4)).transpose(2, 0, 1))
        assert list(data_net.blobs["label"].data) == order[start : start + 2]


def test_gray_crop_and_mean(folder):
    data_net = net(folder, "is_color: false", "crop_size: 3 mean_value: 10 scale: 2", 5)
    data_net.forward()
    assert data_net.blobs["data"].shape == (5, 1, 3, 3)
    for i, (height, width) in enumerate(SIZES):
        y, x = (height - 3) // 2, (width - 3) // 2
        gray = cv2.imread(str(folder / f"an image {i}.png"), cv2.IMREAD_GRAYSCALE).astype(np.float32)
        assert np.array_equal(data_net.blobs["data"].data[i, 0], (gray[y : y + 3, x : x + 3] - 10) * 2)


def test_shuffle_yields_every_image_once_per_epoch_in_new_order(folder):
    data_net = net(folder, "new_height: 2 new_width: 2 shuffle: true", batch=1)
    epochs = [tuple(labels(data_net, 5)) for _ in range(8)]
    assert all(sorted(r) == [0, 1, 2, 3, 4] for r in epochs) and len(set(epochs)) > 4


def test_state_restores_bit_for_bit(folder):
    more = "new_height: 4 new_width: 6 shuffle: true rand_skip: 4"
    data_net = net(folder, more, "mirror: true crop_size: 3", phase=caffe.TRAIN)
    labels(data_net, 4)
    state = data_net.nodes[0].layer.state()
    expected = [data_net.forward() and data_net.blobs["data"].data.copy() for _ in range(7)]
    other = net(folder, more, "mirror: true crop_size: 3", phase=caffe.TRAIN)
    other.nodes[0].layer.restore(state)
    for data in expected:
        other.forward()
        assert np.array_equal(other.blobs["data"].data, data)


def test_invalid_inputs_raise(folder):
    with pytest.raises(CaffeError, match="together, received 4 and 0"):
        net(folder, "new_height: 4")
    with pytest.raises(CaffeError, match="rand_skip 6"):
        net(folder, "rand_skip: 6 new_height: 4 new_width: 4")
    with pytest.raises(CaffeError, match="resize them to the same size or set crop_size"):
        labels(net(folder, ""), 1)
    (folder / "an image 1.png").write_bytes(b"none")
    with pytest.raises(CaffeError, match=r"list.txt:2: .*an image 1.png: truncated or not an image"):
        labels(net(folder), 1)
    (folder / "an image 1.png").unlink()
    with pytest.raises(CaffeError, match="No such file"):
        labels(net(folder), 1)
    (folder / "list.txt").write_text("")
    with pytest.raises(CaffeError, match="empty"):
        net(folder)
