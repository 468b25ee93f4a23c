"""AnnotatedData: boxes that stay on their objects through all random changes, and reproducible batches."""

import numpy as np
import pytest
from support import box_records
from support.layer_nets import net_of

import caffe
from caffe.data import datum
from caffe.data.boxes import record
from caffe.data.db import create_db
from caffe.errors import CaffeError


def data_net(source, transform="", annotated="", batch=4, phase=caffe.TRAIN):
    return net_of(
        f'layer {{ name: "data" type: "AnnotatedData" top: "data" top: "label" '
        f'data_param {{ source: "{source}" backend: LMDB batch_size: {batch} }} '
        f"transform_param {{ {transform} }} annotated_data_param {{ {annotated} }} }}",
        phase,
    )


def written(path, records):
    with create_db(path, "lmdb") as writer:
        for number, (image, boxes) in enumerate(records):
            value = record.encode(datum.encode(image, 0), np.array(boxes, np.float32).reshape(-1, 7))
            writer.put(b"%08d" % number, value)
    return path


@pytest.fixture(scope="module")
def rectangles(tmp_path_factory):
    return box_records.write(tmp_path_factory.mktemp("boxes") / "db", 12)


def test_unchanged_records(tmp_path):
    image = np.random.default_rng(2).integers(0, 256, (3, 4, 5), np.uint8)
    source = written(
        tmp_path / "db", [(image, [[2, 0, 0.25, 0.5, 1, 0.75, 1], [1, 3, 0, 0, 0.5, 0.5, 0]]), (image, [])]
    )
    net = data_net(source, "mean_value: 10 scale: 0.5", batch=2)
    net.forward()
    np.testing.assert_allclose(net.blobs["data"].data[0], (image.astype(float) - 10) * 0.5)
    expected = [[0, 2, 0, 0.25, 0.5, 1, 0.75, 1], [0, 1, 3, 0, 0, 0.5, 0.5, 0]]
    np.testing.assert_allclose(net.blobs["label"].data[0, 0], expected)


def test_a_batch_without_boxes_has_one_row_of_minus_one(tmp_path):
    source = written(tmp_path / "db", [(np.zeros((3, 4, 4), np.uint8), [])])
    net = data_net(source, batch=1)
    net.forward()
    np.testing.assert_array_equal(net.blobs["label"].data, np.full((1, 1, 1, 8), -1))


RANDOM = (
    "mirror: true resize_param { height: 60 width: 60 interp_mode: AREA interp_mode: LINEAR } "
    "expand_param { prob: 0.5 max_expand_ratio: 2 } emit_constraint { emit_type: CENTER } "
    "distort_param { brightness_prob: 0.5 brightness_delta: 16 contrast_prob: 0.5 contrast_lower: 0.9 contrast_upper: 1.1 }"
)
SAMPLER = (
    "batch_sampler { max_sample: 1 max_trials: 1 } batch_sampler { max_sample: 1 max_trials: 50 sampler { min_scale: 0.3 "
    "max_scale: 1 min_aspect_ratio: 0.5 max_aspect_ratio: 2 } sample_constraint { min_jaccard_overlap: 0.3 } }"
)


def test_boxes_stay_on_their_objects(rectangles):
    """After expansion, sampling, resizing and mirroring, the pixels inside a box have the colour of its label."""
    net = data_net(rectangles, RANDOM, SAMPLER)
    seen, sizes = 0, set()
    for _ in range(8):
        net.forward()
        for item, label, _, *corners, _ in net.blobs["label"].data[0, 0]:
            left, top, right, bottom = np.rint(np.array(corners) * 60).astype(int)
            inside = net.blobs["data"].data[int(item), :, top + 2 : bottom - 2, left + 2 : right - 2]
            if inside.size:
                seen += 1
                sizes.add((right - left, bottom - top))
                blue, _, red = np.median(inside, axis=(1, 2))
                assert (red > blue + 60) if label == 1 else (blue > red + 60)
    assert seen > 20 and len(sizes) > 10


def test_a_restored_layer_continues_with_the_same_batches(rectangles):
    net = data_net(rectangles, RANDOM, SAMPLER)
    net.forward()
    state = net.layers[0].state()
    other = data_net(rectangles, RANDOM, SAMPLER)
    other.layers[0].restore(state)
    for _ in range(2):
        net.forward()
        other.forward()
        np.testing.assert_array_equal(net.blobs["data"].data, other.blobs["data"].data)
        np.testing.assert_array_equal(net.blobs["label"].data, other.blobs["label"].data)


@pytest.mark.parametrize(
    "mode, size, corners",
    [
        ("WARP", (30, 30), [0, 0, 0.5, 0.5]),
        ("FIT_LARGE_SIZE_AND_PAD", (30, 30), [0, 0.25, 0.5, 0.5]),
        ("FIT_SMALL_SIZE", (30, 60), [0, 0, 0.5, 0.5]),
    ],
)
def test_resize_modes(tmp_path, mode, size, corners):
    """An image of 10 x 20 whose upper left quarter is white."""
    image = np.zeros((3, 10, 20), np.uint8)
    image[:, :5, :10] = 255
    source = written(tmp_path / "db", [(image, [[1, 0, 0, 0, 0.5, 0.5, 0]])])
    net = data_net(source, f"resize_param {{ resize_mode: {mode} height: 30 width: 30 }}", batch=1, phase=caffe.TEST)
    net.forward()
    assert net.blobs["data"].data.shape == (1, 3, *size)
    np.testing.assert_allclose(net.blobs["label"].data[0, 0, 0, 3:7], corners, atol=1e-6)
    ys, xs = np.nonzero(net.blobs["data"].data[0, 0] > 128)
    found = [xs.min() / size[1], ys.min() / size[0], (xs.max() + 1) / size[1], (ys.max() + 1) / size[0]]
    np.testing.assert_allclose(found, corners, atol=0.07)


def test_labels_of_mobilenet_yolo(tmp_path):
    image = np.zeros((3, 8, 8), np.uint8)
    boxes = [[2, 0, 0.25, 0.5, 1, 0.75, 0], [1, 1, 0, 0, 0.5, 0.5, 1]]
    source = written(tmp_path / "db", [(image, boxes), (image, [])])
    for difficult, rows in ((False, 1), (True, 2)):
        annotated = f"yolo_data_type: 1 train_diffcult: {str(difficult).lower()}"
        net = data_net(source, annotated=annotated, batch=2, phase=caffe.TEST)
        assert net.blobs["label"].data.shape == (2, 1, 300, 5)
        net.forward()
        labels = net.blobs["label"].data[:, 0]
        expected = [[1, 0.625, 0.625, 0.75, 0.25], [0, 0.25, 0.25, 0.5, 0.5]][:rows]
        by_label = sorted(labels[0, :rows].tolist(), reverse=True)
        np.testing.assert_allclose(by_label, expected)
        assert not labels[0, rows:].any() and not labels[1].any()


def test_jitter_of_mobilenet_yolo_moves_boxes_with_the_image(tmp_path):
    """A white square, which is the box, in images whose sides are cut by up to 30 %."""
    image = np.zeros((3, 60, 60), np.uint8)
    image[:, 24:36, 24:36] = 255
    source = written(tmp_path / "db", [(image, [[1, 0, 0.4, 0.4, 0.6, 0.6, 0]])])
    net = data_net(source, "resize_param { height: 60 width: 60 }", "yolo_data_type: 1", batch=8)
    net.forward()
    sizes = set()
    for planes, label in zip(net.blobs["data"].data, net.blobs["label"].data[:, 0, 0]):
        ys, xs = np.nonzero(planes[0] > 128)
        found = [(xs.min() + xs.max() + 1) / 120, (ys.min() + ys.max() + 1) / 120, len(set(xs)) / 60, len(set(ys)) / 60]
        np.testing.assert_allclose(found, label[1:], atol=0.04)
        assert 0.199 <= label[3] <= 0.2 / 0.7 + 0.01
        sizes.add(round(float(label[3]), 3))
    assert len(sizes) > 2


def test_boxes_whose_center_is_cut_off_are_dropped(tmp_path):
    image = np.zeros((3, 20, 20), np.uint8)
    source = written(tmp_path / "db", [(image, [[1, 0, 0, 0, 0.4, 0.4, 0], [1, 1, 0.4, 0.4, 0.7, 0.7, 0]])])
    crop = "crop_size: 10"  # in TEST the center: 0.25 .. 0.75
    for emit, expected in (("", [0, 1]), ("emit_constraint { emit_type: CENTER }", [1])):
        net = data_net(source, f"{crop} {emit}", batch=1, phase=caffe.TEST)
        net.forward()
        assert net.blobs["label"].data[0, 0, :, 2].tolist() == expected
    np.testing.assert_allclose(net.blobs["label"].data[0, 0, 0, 3:7], [0.3, 0.3, 0.9, 0.9], atol=1e-6)


def test_faults(tmp_path, rectangles):
    with pytest.raises(CaffeError, match="label_map_file 'no' does not exist"):
        data_net(rectangles, annotated='label_map_file: "no"')
    with pytest.raises(CaffeError, match="FIT_SMALL_SIZE needs a batch_size of 1"):
        data_net(rectangles, "resize_param { resize_mode: FIT_SMALL_SIZE height: 3 width: 3 }")
    with create_db(tmp_path / "plain", "lmdb") as writer:
        writer.put(b"0", b"\xff\xff")
    with pytest.raises(CaffeError, match="record '0': not an AnnotatedDatum"):
        data_net(tmp_path / "plain")
