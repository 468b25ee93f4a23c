"""Data: records, crops and mirrors against plain loops; what real Caffe packed; exact resumption."""

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
        for i, picture in enumerate(pixels()):
            writer.put(b"%08d" % i, datum.encode(picture, 10 + i))
    return path, backend


def net(source, transform="", more="", batch=3, phase=caffe.TEST, tops='top: "data" top: "label"'):
    path, backend = source if isinstance(source, tuple) else (source, "LMDB")
    return net_of(
        'layer { name: "d" type: "Data" %s transform_param { %s } '
        'data_param { source: "%s" backend: %s batch_size: %d %s } }' % (tops, transform, path, backend, batch, more),
        phase,
    )


def test_records_in_order_and_round(source):
    made, expected = net(source), pixels().astype(np.float32)
    assert made.blobs["data"].shape == (3, *SHAPE) and made.blobs["label"].shape == (3,)
    for start in range(0, 18, 3):
        made.forward()
        rows = [i % RECORDS for i in range(start, start + 3)]
        assert np.array_equal(made.blobs["data"].data, expected[rows])
        assert np.array_equal(made.blobs["label"].data, np.array(rows) + 10)


def test_centre_crop_mean_and_scale(source, tmp_path):
    mean = np.random.default_rng(2).uniform(0, 255, SHAPE).astype(np.float32)
    write_mean(str(tmp_path / "mean.binaryproto"), mean)
    made = net(source, f'crop_size: 5 scale: 0.5 mean_file: "{tmp_path}/mean.binaryproto"', tops='top: "data"')
    made.forward()
    expected = ((pixels()[:3].astype(np.float32) - mean) * np.float32(0.5))[:, :, 0:5, 1:6]
    assert np.array_equal(made.blobs["data"].data, expected)


def test_train_crops_everywhere_and_mirrors_half(source):
    made, seen = net(source, "crop_size: 5 mirror: true", batch=RECORDS, phase=caffe.TRAIN), {}
    for _ in range(60):
        made.forward()
        for item, picture in zip(made.blobs["data"].data, pixels()):
            views = {
                (y, x, flip): picture[:, y : y + 5, x : x + 5][:, :, :: -1 if flip else 1]
                for y in range(2)
                for x in range(4)
                for flip in (False, True)
            }
            (found,) = [key for key, view in views.items() if np.array_equal(view, item)]
            seen[found] = seen.get(found, 0) + 1
    assert len(seen) == 16 and min(seen.values()) > 8  # 420 draws over 16 views


def test_state_goes_on_bit_for_bit(source):
    def take(made, count):
        out = []
        for _ in range(count):
            made.forward()
            out.append((made.blobs["data"].data.copy(), made.blobs["label"].data.copy()))
        return out

    made = net(source, "crop_size: 5 mirror: true", "rand_skip: 5", phase=caffe.TRAIN)
    take(made, 4)
    state = made._nodes[0].layer.state()
    assert all(isinstance(value, int) for value in state.values())
    expected = take(made, 6)
    other = net(source, "crop_size: 5 mirror: true", "rand_skip: 5 prefetch: 1", phase=caffe.TRAIN)
    take(other, 1)
    other._nodes[0].layer.restore(state)
    for (data, label), (data2, label2) in zip(expected, take(other, 6)):
        assert np.array_equal(data, data2) and np.array_equal(label, label2)


def test_a_held_view_always_shows_the_newest_batch_and_a_kept_copy_stays(source):
    made = net(source, more="prefetch: 1")
    made.forward()
    view = made.blobs["data"].data
    for start in range(3, 60, 3):
        made.forward()
        assert np.array_equal(view, pixels()[[i % RECORDS for i in range(start, start + 3)]])


def test_rand_skip_passes_over_fewer_than_it_says(source):
    firsts = set()
    for seed in range(30):
        caffe.set_random_seed(seed)
        made = net(source, more="rand_skip: 3")
        made.forward()
        firsts.add(int(made.blobs["label"].data[0]))
    assert firsts == {10, 11, 12}


@pytest.mark.parametrize(
    "name, shape", [("db_resize", (3, 48, 64)), ("db_gray", (1, 32, 32)), ("db_encoded", (3, 40, 40))]
)
def test_databases_of_real_caffe(name, shape):
    made = net(GOLDEN / name, batch=1)
    made.forward()
    assert made.blobs["data"].shape == (1, *shape)


def test_encoded_pictures_of_changing_size_in_batches_of_one(tmp_path):
    rng, pictures = np.random.default_rng(0), []
    with create_db(str(tmp_path / "db"), "lmdb") as writer:
        for i, (height, width) in enumerate([(4, 5), (7, 3), (4, 4)]):
            pictures.append(rng.integers(0, 256, (height, width, 3), np.uint8))
            writer.put(b"%d" % i, datum.encode(None, i, cv2.imencode(".png", pictures[-1])[1].tobytes()))
    made = net(tmp_path / "db", batch=1)
    for picture in pictures:
        made.forward()
        assert np.array_equal(made.blobs["data"].data[0], picture.transpose(2, 0, 1))
    gray = net(tmp_path / "db", "force_gray: true", batch=1)
    gray.forward()
    assert gray.blobs["data"].shape == (1, 1, 4, 5)
    crops = net(tmp_path / "db", "crop_size: 3", batch=3)
    crops.forward()
    assert crops.blobs["data"].shape == (3, 3, 3, 3)


def test_faults(source, tmp_path):
    path, backend = source
    for arguments, said in [
        (dict(source=(tmp_path / "none", backend)), "does not exist"),
        (dict(source=source, batch=0), "batch_size"),
        (dict(source=source, transform="crop_size: 9"), "crop 9 is larger"),
        (dict(source=source, transform="mean_value: 1 mean_value: 2"), "the mean has 2 channels"),
        (dict(source=source, transform='mean_file: "none.binaryproto"'), "none.binaryproto"),
        (dict(source=(path, "LEVELDB" if backend == "LMDB" else "LMDB")), "set backend to"),
    ]:
        with pytest.raises(CaffeError, match=said):
            net(**arguments)


def test_old_fields_are_named_not_obeyed(source, capfd):
    net(source, more="crop_size: 2 mirror: true")
    assert "crop_size, mirror of data_param has no effect" in capfd.readouterr().err


def test_training_shuffles_and_balances_where_that_is_asked_and_testing_never_does(source):
    def labels(more, phase, count=14):
        made = net(source, more=more, batch=1, phase=phase)
        return [int(made.forward()["label"][0]) - 10 for _ in range(count)]

    shown = labels("shuffle: true", caffe.TRAIN)
    assert sorted(shown[:7]) == sorted(shown[7:]) == list(range(7)) and shown[:7] != shown[7:]
    assert labels("shuffle: true balance: 1", caffe.TEST) == [*range(7), *range(7)]


def test_a_balanced_epoch_shows_classes_equally_often(tmp_path, backend):
    with create_db(str(tmp_path / "db"), backend.lower()) as writer:
        for i in range(20):
            writer.put(b"%08d" % i, datum.encode(pixels()[0], int(i < 2)))
    made = net((tmp_path / "db", backend), more="balance: 1", batch=20, phase=caffe.TRAIN)
    assert [made.forward()["label"].sum() for _ in range(3)] == [10, 10, 10]


def test_further_tops_are_labels_in_float_data(tmp_path):
    with create_db(str(tmp_path / "db")) as writer:
        for i, picture in enumerate(pixels()):
            writer.put(b"%08d" % i, datum.encode(picture, i, more=(i / 2, -i)))
    tops = 'top: "data" top: "label" top: "half" top: "minus"'
    out = net(tmp_path / "db", batch=7, tops=tops).forward()
    assert np.array_equal(out["half"], np.arange(7) / 2) and np.array_equal(out["minus"], -np.arange(7))
    assert net(tmp_path / "db", batch=7).forward()["label"].tolist() == list(range(7))
    with pytest.raises(CaffeError, match="4 labels are wanted, the Datum has 3"):
        net(tmp_path / "db", tops=tops + ' top: "fourth"')


def test_augmentation_is_of_training_and_is_told_apart_from_nonsense(source):
    flat = net(source, "augment { brightness: 0.4 }", batch=7, phase=caffe.TEST).forward()["data"]
    assert np.array_equal(flat, pixels())
    bright = net(source, "augment { brightness: 0.4 }", batch=7, phase=caffe.TRAIN).forward()["data"]
    assert (np.abs(bright - pixels()).max((1, 2, 3)) > 1).sum() >= 5
    with pytest.raises(CaffeError, match="erase 7"):
        net(source, "augment { erase: 7 }")


def test_a_balance_beyond_1_is_refused(source):
    with pytest.raises(CaffeError, match="received 3"):
        net(source, more="balance: 3")
