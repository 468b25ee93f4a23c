"""ImageData: files of a list, against OpenCV called here."""

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
        name = "a picture %d.png" % i
        cv2.imwrite(str(tmp_path / name), rng.integers(0, 256, (height, width, 3), np.uint8))
        lines.append("%s %d" % (name, i))
    (tmp_path / "list.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def net(folder, more="new_height: 4 new_width: 6", transform="", batch=2, phase=caffe.TEST):
    return net_of(
        'layer { name: "i" type: "ImageData" top: "data" top: "label" transform_param { %s } '
        'image_data_param { source: "%s/list.txt" root_folder: "%s/" batch_size: %d %s } }'
        % (transform, folder, folder, batch, more),
        phase,
    )


def labels(made, count):
    out = []
    for _ in range(count):
        made.forward()
        out += list(made.blobs["label"].data.astype(int))
    return out


def test_pictures_in_order_resized(folder):
    made, order = net(folder), [0, 1, 2, 3, 4] * 3
    for start in range(0, 10, 2):
        made.forward()
        for item, i in zip(made.blobs["data"].data, order[start:]):
            picture = cv2.imread(str(folder / ("a picture %d.png" % i)))
            assert np.array_equal(item, cv2.resize(picture, (6, 4)).transpose(2, 0, 1))
        assert list(made.blobs["label"].data) == order[start : start + 2]


def test_grey_crop_and_mean(folder):
    made = net(folder, "is_color: false", "crop_size: 3 mean_value: 10 scale: 2", 5)
    made.forward()
    assert made.blobs["data"].shape == (5, 1, 3, 3)
    for i, (height, width) in enumerate(SIZES):
        y, x = (height - 3) // 2, (width - 3) // 2
        grey = cv2.imread(str(folder / ("a picture %d.png" % i)), cv2.IMREAD_GRAYSCALE).astype(np.float32)
        assert np.array_equal(made.blobs["data"].data[i, 0], (grey[y : y + 3, x : x + 3] - 10) * 2)


def test_shuffle_takes_all_each_round_in_another_order(folder):
    made = net(folder, "new_height: 2 new_width: 2 shuffle: true", batch=1)
    rounds = [tuple(labels(made, 5)) for _ in range(8)]
    assert all(sorted(r) == [0, 1, 2, 3, 4] for r in rounds) and len(set(rounds)) > 4


def test_state_goes_on_bit_for_bit(folder):
    more = "new_height: 4 new_width: 6 shuffle: true rand_skip: 4"
    made = net(folder, more, "mirror: true crop_size: 3", phase=caffe.TRAIN)
    labels(made, 4)
    state = made._nodes[0].layer.state()
    expected = [made.forward() and made.blobs["data"].data.copy() for _ in range(7)]
    other = net(folder, more, "mirror: true crop_size: 3", phase=caffe.TRAIN)
    other._nodes[0].layer.restore(state)
    for data in expected:
        other.forward()
        assert np.array_equal(other.blobs["data"].data, data)


def test_faults(folder):
    with pytest.raises(CaffeError, match="together, received 4 and 0"):
        net(folder, "new_height: 4")
    with pytest.raises(CaffeError, match="rand_skip 6"):
        net(folder, "rand_skip: 6 new_height: 4 new_width: 4")
    with pytest.raises(CaffeError, match="make them equally large or set crop_size"):
        labels(net(folder, ""), 1)
    (folder / "a picture 1.png").write_bytes(b"none")
    with pytest.raises(CaffeError, match=r"list.txt:2: .*a picture 1.png: this is not an image"):
        labels(net(folder), 1)
    (folder / "a picture 1.png").unlink()
    with pytest.raises(CaffeError, match="No such file"):
        labels(net(folder), 1)
    (folder / "list.txt").write_text("")
    with pytest.raises(CaffeError, match="empty"):
        net(folder)
