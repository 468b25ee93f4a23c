"""WindowData: foreground fractions, warps and context; the warp is compared with arithmetic derived from Caffe."""

import cv2
import numpy as np
import pytest
from support.layer_nets import net_of

import caffe
from caffe.data.windows import warp_of
from caffe.errors import CaffeError

HEIGHT, WIDTH = 20, 30


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    lines = []
    for i in range(2):
        cv2.imwrite(str(tmp_path / f"{i}.png"), rng.integers(1, 256, (HEIGHT, WIDTH, 3), np.uint8))
        lines += [f"# {i}", f"{tmp_path}/{i}.png", "3", str(HEIGHT), str(WIDTH), "3"]
        lines += [f"{i + 1} 0.8 2 3 11 12", "1 0.4 0 0 5 5", "2 0.1 10 5 29 19"]
    (tmp_path / "windows.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def net(folder, more="", transform="crop_size: 10", batch=8, phase=caffe.TRAIN):
    return net_of(
        (
            f'layer {{ name: "w" type: "WindowData" top: "data" top: "label" transform_param {{ {transform} }} '
            f'window_data_param {{ source: "{folder}/windows.txt" batch_size: {batch} '
            f"fg_threshold: 0.5 bg_threshold: 0.3 {more} }} }}"
        ),
        phase,
    )


def warped(folder, i, box):
    x1, y1, x2, y2 = box
    crop = cv2.imread(str(folder / f"{i}.png"))[y1 : y2 + 1, x1 : x2 + 1]
    return cv2.resize(crop, (10, 10)).transpose(2, 0, 1).astype(np.float32)


def test_background_precedes_foreground(folder):
    data_net, classes = net(folder), set()
    foreground = {i + 1: warped(folder, i, (2, 3, 11, 12)) for i in range(2)}
    background = [warped(folder, i, (10, 5, 29, 19)) for i in range(2)]
    for _ in range(6):
        data_net.forward()
        data, label = data_net.blobs["data"].data, data_net.blobs["label"].data
        assert list(label[:6]) == [0] * 6 and set(label[6:]) <= {1, 2}
        assert all(any(np.array_equal(item, b) for b in background) for item in data[:6])
        assert all(np.array_equal(item, foreground[int(i)]) for item, i in zip(data[6:], label[6:]))
        classes |= set(label)
    assert classes == {0, 1, 2}


def test_mean_scale_and_cache(folder):
    data_net = net(
        folder,
        "fg_fraction: 1 scale: 0.5 cache_images: true",
        "crop_size: 10 mean_value: 4 mean_value: 5 mean_value: 6",
    )
    data_net.forward()
    index = int(data_net.blobs["label"].data[0]) - 1
    mean = np.array([4, 5, 6], np.float32).reshape(3, 1, 1)
    assert np.array_equal(data_net.blobs["data"].data[0], (warped(folder, index, (2, 3, 11, 12)) - mean) * 0.5)


def test_context_outside_the_image_is_zero(folder):
    data_net = net(folder, "fg_fraction: 1 context_pad: 3")
    data_net.forward()
    data = data_net.blobs["data"].data[0]
    # the box 2..11 is 10 wide; its context adds 7.5 pixels per side at scale 10/4, starting at -5.5
    assert (data[:, :, 0] == 0).all() and (data[:, 0] == 0).all() and (data[:, 5:9, 5:] > 0).all()


@pytest.mark.parametrize("square", [False, True])
@pytest.mark.parametrize("box", [(2, 3, 11, 12), (0, 0, 29, 19), (10, 5, 29, 19), (25, 1, 28, 17)])
@pytest.mark.parametrize("pad", [0, 2, 4])
def test_warp(box, pad, square):
    crop = 10
    warp = warp_of(box, (HEIGHT, WIDTH), crop, pad, square)
    if not pad and not square:
        assert (warp.box, warp.left, warp.top, warp.width, warp.height) == (box, 0, 0, crop, crop)
        return
    enlargement = crop / (crop - 2.0 * pad)
    half_w, half_h = (box[2] - box[0] + 1) / 2.0, (box[3] - box[1] + 1) / 2.0
    if square:
        half_w = half_h = max(half_w, half_h)
    for axis, half, limit in (
        (0, (box[2] - box[0] + 1) / 2.0, WIDTH),
        (1, (box[3] - box[1] + 1) / 2.0, HEIGHT),
    ):
        extent = (half_w, half_h)[axis] * enlargement
        low = int(np.sign(c := box[axis] + half - extent) * np.floor(abs(c) + 0.5))
        high = int(np.floor(box[axis] + half + extent + 0.5))
        scale = crop / (high - low + 1)
        assert warp.box[axis] == max(low, 0) and warp.box[axis + 2] == min(high, limit - 1)
        start = (warp.left, warp.top)[axis]
        size = (warp.width, warp.height)[axis]
        assert start == int(np.floor(max(0, -low) * scale + 0.5))
        assert size == min(int(np.floor((warp.box[axis + 2] - warp.box[axis] + 1) * scale + 0.5)), crop - start)


def test_state_restores_bit_for_bit(folder):
    data_net = net(folder, transform="crop_size: 8 mirror: true")
    data_net.forward()
    state = data_net.nodes[0].layer.state()
    expected = [data_net.forward() and data_net.blobs["data"].data.copy() for _ in range(4)]
    other = net(folder, transform="crop_size: 8 mirror: true")
    other.nodes[0].layer.restore(state)
    for data in expected:
        other.forward()
        assert np.array_equal(other.blobs["data"].data, data)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("# 0", "0", "windows.txt:1: expected '# index'"),
        ("1 0.8 2 3 11 12", "0 0.8 2 3 11 12", "windows.txt:7: a foreground window"),
        ("1 0.8 2 3 11 12", "1 0.8 2 3 11 x", "windows.txt:7: expected a window's y2, received 'x'"),
        ("# 1", "# 7", "expected image 1, received 7"),
        ("2 0.1 10 5 29 19\n# 1", "# 1", "expected a window's class, received '#'"),
    ],
)
def test_invalid_window_files_raise(folder, old, new, message):
    path = folder / "windows.txt"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(CaffeError, match=message):
        net(folder)


def test_invalid_inputs_raise(folder):
    with pytest.raises(CaffeError, match="needs a crop_size"):
        net(folder, transform="")
    with pytest.raises(CaffeError, match="context_pad 5"):
        net(folder, "context_pad: 5")
    with pytest.raises(CaffeError, match="warp or square"):
        net(folder, 'crop_mode: "sqare"')
    path = folder / "windows.txt"
    content = path.read_text()
    path.write_text(content.replace("0.8", "0.4"))
    with pytest.raises(CaffeError, match="no foreground window"):
        net(folder)
    path.write_text(content)
    path.write_text(path.read_text().replace("10 5 29 19", "10 5 30 19"))
    data_net = net(folder)
    with pytest.raises(CaffeError, match="is not inside the image"):
        data_net.forward()
    path.write_text("")
    with pytest.raises(CaffeError, match="empty"):
        net(folder)
