"""Data: records, crops and mirrors compared with plain loops; databases of real Caffe; exact resume."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.layer_nets import net_of

import caffe
from caffe.data import datum
from caffe.data.db import create_db
from caffe.data.mean import write_mean
from caffe.errors import CaffeError

GOLDEN = Path(__file__).parents[2] / "golden" / "tools" / "lmdb"
RECORDS, SHAPE = 7, (3, 6, 8)


def pixels():
    return np.random.default_rng(1).integers(0, 256, (RECORDS, *SHAPE), np.uint8)


@pytest.fixture(scope="module", params=["LMDB", "LEVELDB"])
def backend(request):
    return request.param


@pytest.fixture(scope="module")
def source(tmp_path_factory, backend):
    path = tmp_path_factory.mktemp("db") / "db"
    with create_db(str(path), backend.lower()) as writer:
        for i, image in enumerate(pixels()):
            writer.put(b"%08d" % i, datum.encode(image, 10 + i))
    return path, backend


def net(source, transform="", more="", batch=3, phase=caffe.TEST, tops='top: "data" top: "label"'):
    path, backend = source if isinstance(source, tuple) else (source, "LMDB")
    return net_of(
        (
            f'layer {{ name: "d" type: "Data" {tops} transform_param {{ {transform} }} '
            f'data_param {{ source: "{path}" backend: {backend} batch_size: {batch} {more} }} }}'
        ),
        phase,
    )


def test_records_are_read_in_order_in_a_cycle(source):
    data_net, expected = net(source), pixels().astype(np.float32)
    assert data_net.blobs["data"].shape == (3, *SHAPE) and data_net.blobs["label"].shape == (3,)
    for start in range(0, 18, 3):
        data_net.forward()
        rows = [i % RECORDS for i in range(start, start + 3)]
        assert np.array_equal(data_net.blobs["data"].data, expected[rows])
        assert np.array_equal(data_net.blobs["label"].data, np.array(rows) + 10)


def test_center_crop_mean_and_scale(source, tmp_path):
    mean = np.random.default_rng(2).uniform(0, 255, SHAPE).astype(np.float32)
    write_mean(str(tmp_path / "mean.binaryproto"), mean)
    data_net = net(source, f'crop_size: 5 scale: 0.5 mean_file: "{tmp_path}/mean.binaryproto"', tops='top: "data"')
    data_net.forward()
    expected = ((pixels()[:3].astype(np.float32) - mean) * np.float32(0.5))[:, :, 0:5, 1:6]
    assert np.array_equal(data_net.blobs["data"].data, expected)


def test_train_phase_crops_everywhere_and_mirrors_half(source):
    data_net, counts = net(source, "crop_size: 5 mirror: true", batch=RECORDS, phase=caffe.TRAIN), {}
    for _ in range(60):
        data_net.forward()
        for item, image in zip(data_net.blobs["data"].data, pixels()):
            views = {
                (y, x, flip): image[:, y : y + 5, x : x + 5][:, :, :: -1 if flip else 1]
                for y in range(2)
                for x in range(4)
                for flip in (False, True)
            }
            (match,) = [key for key, view in views.items() if np.array_equal(view, item)]
            counts[match] = counts.get(match, 0) + 1
    assert len(counts) == 16 and min(counts.values()) > 8  # 420 draws over 16 views


def test_state_restores_bit_for_bit(source):
    def take(data_net, count):
        out = []
        for _ in range(count):
            data_net.forward()
            out.append((data_net.blobs["data"].data.copy(), data_net.blobs["label"].data.copy()))
        return out

    data_net = net(source, "crop_size: 5 mirror: true", "rand_skip: 5", phase=caffe.TRAIN)
    take(data_net, 4)
    state = data_net.nodes[0].layer.state()
    assert all(isinstance(value, int) for value in state.values())
    expected = take(data_net, 6)
    other = net(source, "crop_size: 5 mirror: true", "rand_skip: 5 prefetch: 1", phase=caffe.TRAIN)
    take(other, 1)
    other.nodes[0].layer.restore(state)
    for (data, label), (data2, label2) in zip(expected, take(other, 6)):
        assert np.array_equal(data, data2) and np.array_equal(label, label2)


def test_live_view_shows_the_newest_batch(source):
    data_net = net(source, more="prefetch: 1")
    data_net.forward()
    view = data_net.blobs["data"].data
    for start in range(3, 60, 3):
        data_net.forward()
        assert np.array_equal(view, pixels()[[i % RECORDS for i in range(start, start + 3)]])


def test_rand_skip_is_an_exclusive_bound(source):
    firsts = set()
    for seed in range(30):
        caffe.set_random_seed(seed)
        data_net = net(source, more="rand_skip: 3")
        data_net.forward()
        firsts.add(int(data_net.blobs["label"].data[0]))
    assert firsts == {10, 11, 12}


@pytest.mark.parametrize(
    "name, shape", [("db_resize", (3, 48, 64)), ("db_gray", (1, 32, 32)), ("db_encoded", (3, 40, 40))]
)
def test_databases_of_real_caffe(name, shape):
    data_net = net(GOLDEN / name, batch=1)
    data_net.forward()
    assert data_net.blobs["data"].shape == (1, *shape)


def test_encoded_images_of_varying_size_with_batch_size_1(tmp_path):
    rng, images = np.random.default_rng(0), []
    with create_db(str(tmp_path / "db"), "lmdb") as writer:
        for i, (height, width) in enumerate([(4, 5), (7, 3), (4, 4)]):
            images.append(rng.integers(0, 256, (height, width, 3), np.uint8))
            writer.put(b"%d" % i, datum.encode(None, i, cv2.imencode(".png", images[-1])[1].tobytes()))
    data_net = net(tmp_path / "db", batch=1)
    for image in images:
        data_net.forward()
        assert np.array_equal(data_net.blobs["data"].data[0], image.transpose(2, 0, 1))
    gray = net(tmp_path / "db", "force_gray: true", batch=1)
    gray.forward()
    assert gray.blobs["data"].shape == (1, 1, 4, 5)
    crops = net(tmp_path / "db", "crop_size: 3", batch=3)
    crops.forward()
    assert crops.blobs["data"].shape == (3, 3, 3, 3)


def test_invalid_inputs_raise(source, tmp_path):
    path, backend = source
    for arguments, message in [
        (dict(source=(tmp_path / "none", backend)), "does not exist"),
        (dict(source=source, batch=0), "batch_size"),
        (dict(source=source, transform="crop_size: 9"), "crop 9 is larger"),
        (dict(source=source, transform="mean_value: 1 mean_value: 2"), "the mean has 2 channels"),
        (dict(source=source, transform='mean_file: "none.binaryproto"'), "none.binaryproto"),
        (dict(source=(path, "LEVELDB" if backend == "LMDB" else "LMDB")), "set backend to"),
    ]:
        with pytest.raises(CaffeError, match=message):
            net(**arguments)


def test_legacy_fields_cause_a_warning(source, capfd):
    net(source, more="crop_size: 2 mirror: true")
    assert "crop_size, mirror of data_param has no effect" in capfd.readouterr().err


def test_shuffle_and_balance_apply_to_train_phase_only(source):
    def labels(more, phase, count=14):
        data_net = net(source, more=more, batch=1, phase=phase)
        return [int(data_net.forward()["label"][0]) - 10 for _ in range(count)]

    order = labels("shuffle: true", caffe.TRAIN)
    assert sorted(order[:7]) == sorted(order[7:]) == list(range(7)) and order[:7] != order[7:]
    assert labels("shuffle: true balance: 1", caffe.TEST) == [*range(7), *range(7)]


def test_balanced_epoch_has_equal_class_counts(tmp_path, backend):
    with create_db(str(tmp_path / "db"), backend.lower()) as writer:
        for i in range(20):
            writer.put(b"%08d" % i, datum.encode(pixels()[0], int(i < 2)))
    data_net = net((tmp_path / "db", backend), more="balance: 1", batch=20, phase=caffe.TRAIN)
    assert [data_net.forward()["label"].sum() for _ in range(3)] == [10, 10, 10]


def test_balance_counts_the_classes_of_another_label(tmp_path):
    with create_db(str(tmp_path / "db")) as writer:
        for i in range(20):
            writer.put(b"%08d" % i, datum.encode(pixels()[0], i % 2, more=(float(i < 2),)))
    more, tops = "balance: 1 balance_label: 1", 'top: "data" top: "label" top: "rare"'
    data_net = net(tmp_path / "db", more=more, batch=20, phase=caffe.TRAIN, tops=tops)
    assert [data_net.forward()["rare"].sum() for _ in range(3)] == [10, 10, 10]
    with pytest.raises(CaffeError, match="balance_label must be less than the number of labels, received 2"):
        net(tmp_path / "db", more="balance: 1 balance_label: 2", batch=20, phase=caffe.TRAIN, tops=tops)


def test_further_tops_are_labels_from_float_data(tmp_path):
    with create_db(str(tmp_path / "db")) as writer:
        for i, image in enumerate(pixels()):
            writer.put(b"%08d" % i, datum.encode(image, i, more=(i / 2, -i)))
    tops = 'top: "data" top: "label" top: "half" top: "minus"'
    out = net(tmp_path / "db", batch=7, tops=tops).forward()
    assert np.array_equal(out["half"], np.arange(7) / 2) and np.array_equal(out["minus"], -np.arange(7))
    assert net(tmp_path / "db", batch=7).forward()["label"].tolist() == list(range(7))
    with pytest.raises(CaffeError, match="expected 4 labels, the Datum has 3"):
        net(tmp_path / "db", tops=tops + ' top: "fourth"')


def test_augmentation_applies_to_train_phase_only(source):
    test_data = net(source, "augment { brightness: 0.4 }", batch=7, phase=caffe.TEST).forward()["data"]
    assert np.array_equal(test_data, pixels())
    train_data = net(source, "augment { brightness: 0.4 }", batch=7, phase=caffe.TRAIN).forward()["data"]
    assert (np.abs(train_data - pixels()).max((1, 2, 3)) > 1).sum() >= 5
    with pytest.raises(CaffeError, match="erase 7"):
        net(source, "augment { erase: 7 }")


def test_balance_above_1_raises(source):
    with pytest.raises(CaffeError, match="received 3"):
        net(source, more="balance: 3")


def test_image_data_with_a_root_without_its_slash(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"x")
    (tmp_path / "list").write_text("a.png 0\n")
    (tmp_path / "n.prototxt").write_text(
        'layer { name: "d" type: "ImageData" top: "x" top: "t" '
        f'image_data_param {{ source: "{tmp_path}/list" batch_size: 1 '
        f'root_folder: "{tmp_path}/images" }} }}'
    )
    with pytest.raises(CaffeError, match="root_folder '.*images' has no slash at its end"):
        caffe.Net(str(tmp_path / "n.prototxt"), caffe.TEST)
