"""compute_image_mean: byte-identical to real Caffe's files, and equal to a float32 loop."""

from pathlib import Path

import numpy as np
import pytest

from caffe.data import datum
from caffe.data.db import create_db, open_db
from caffe.data.image_mean import channel_means, image_mean
from caffe.data.mean import read_mean
from caffe.tools import main

GOLDEN = Path(__file__).parents[2] / "golden" / "tools"


def write_database(path, arrays):
    with create_db(path) as writer:
        for index, array in enumerate(arrays):
            writer.put(b"%08d" % index, datum.encode(array, index % 5))
    return str(path)


@pytest.mark.parametrize("name", ["resize", "gray"])
def test_file_is_byte_identical_to_caffes(tmp_path, name, capfd):
    out = tmp_path / "deep" / "mean.binaryproto"
    database = str(GOLDEN / "lmdb" / ("db_" + name))
    npy = str(tmp_path / "mean.npy")
    assert main(["compute_image_mean", "-backend=lmdb", database, str(out), "--npy", npy]) == 0
    assert out.read_bytes() == (GOLDEN / f"mean_{name}.binaryproto").read_bytes()
    mean = read_mean(out)
    assert np.array_equal(np.load(tmp_path / "mean.npy"), mean) and mean.dtype == np.float32
    log = capfd.readouterr().err
    assert "] Processed 17 files." in log and f"] Number of channels: {len(mean)}" in log
    for channel, value in enumerate(mean.astype(float).mean((1, 2))):
        line = log.split(f"mean_value channel [{channel}]: ")[1].split()[0]
        assert float(line) == pytest.approx(value, rel=1e-5)


def test_encoded_records_are_decoded(tmp_path):
    with open_db(GOLDEN / "lmdb" / "db_encoded") as db:
        mean = image_mean(db)
        expected = np.mean([datum.decode(value)[0].astype(float) for _, value in db], axis=0)
    assert mean.shape == (3, 40, 40) and np.allclose(mean, expected, atol=1e-4)


def test_floats_are_summed_in_order_in_float32(tmp_path):
    rng = np.random.default_rng(0)
    sizes = 10.0 ** rng.integers(-3, 6, (40, 1, 1, 1))
    arrays = (rng.normal(size=(40, 2, 3, 4)) * sizes).astype(np.float32)
    total = np.zeros((2, 3, 4), np.float32)
    for array in arrays:
        total = total + array
    with open_db(write_database(tmp_path / "db", arrays)) as db:
        assert np.array_equal(image_mean(db), total / np.float32(40))


def test_channel_means_are_a_running_float32_sum():
    mean = np.random.default_rng(1).uniform(0, 255, (2, 50, 60)).astype(np.float32)
    for plane, result in zip(mean, channel_means(mean)):
        total = np.float32(0)
        for value in plane.ravel():
            total += value
        assert result == total / np.float32(3000)


def test_images_of_different_sizes_are_an_error_with_the_key(tmp_path, capsys):
    db = write_database(tmp_path / "db", [np.zeros((3, 4, 5), np.uint8), np.zeros((3, 5, 4), np.uint8)])
    assert main(["compute_image_mean", db, str(tmp_path / "m")]) == 1
    assert "record '00000001': an image of (3, 5, 4), the first has (3, 4, 5)" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_errors(tmp_path, capsys):
    assert main(["compute_image_mean", str(tmp_path / "none")]) == 1
    assert "does not exist" in capsys.readouterr().err
    with create_db(tmp_path / "db") as writer:
        writer.put(b"key", b"\xff\xff")
    assert main(["compute_image_mean", str(tmp_path / "db"), "--npy=m.txt"]) == 1
    assert "expected a name that ends in .npy, received 'm.txt'" in capsys.readouterr().err
    assert main(["compute_image_mean", str(tmp_path / "db")]) == 1
    assert "record 'key': not a Datum" in capsys.readouterr().err
