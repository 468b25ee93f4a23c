"""Four LMDBs and their mean from lists, compared with OpenCV and NumPy."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.reference_lmdb import rows

from agegender.cli import main
from agegender.cli.create_lmdb import PARTS
from caffe.proto import caffe_pb2


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A directory with twelve images of different sizes and four lists of six of them each."""
    monkeypatch.chdir(tmp_path)
    os.makedirs("data/faces")
    os.makedirs("data/DEF")
    rng = np.random.default_rng(3)
    for number in range(12):
        image = rng.integers(0, 256, (20 + number, 30, 3), np.uint8)
        cv2.imwrite(f"data/faces/{number} a.png", image)
    for first, part in enumerate(PARTS):
        with open(f"data/DEF/{part}.txt", "w") as stream:
            for number in range(first, first + 6):
                stream.write(f"./data/faces/{number} a.png {number % 3}\n")
    return tmp_path


def records(path):
    """(key, label, planes) of every record, read with lmdb and protobuf."""
    for key, value in rows(path):
        datum = caffe_pb2.Datum.FromString(value)
        shape = (datum.channels, datum.height, datum.width)
        yield key.decode(), datum.label, np.frombuffer(datum.data, np.uint8).reshape(shape)


def test_four_lmdbs_hold_the_resized_images(checkout, capsys):
    assert main(["create-lmdb"]) == 0
    for part in PARTS:
        listed = dict(line.rsplit(" ", 1) for line in Path(f"data/DEF/{part}.txt").read_text().splitlines())
        packed = list(records(f"data/lmdb/{part}_lmdb"))
        assert [int(key[:8]) for key, _, _ in packed] == list(range(6))
        assert {key[9:]: str(label) for key, label, _ in packed} == listed
        assert [key[9:] for key, _, _ in packed] != list(listed), "expected shuffled records"
        for key, _, planes in packed:
            expected = cv2.resize(cv2.imread(key[9:]), (227, 227), interpolation=cv2.INTER_LINEAR)
            assert (planes == expected.transpose(2, 0, 1)).all()
    captured = capsys.readouterr()
    assert "data/lmdb/gender_test_lmdb: 6 records\n" in captured.out
    assert captured.err.endswith("Next: ./create_mean.sh\n")


def test_equal_lists_give_equal_records(checkout):
    runs = []
    for _ in range(2):
        assert main(["create-lmdb", "--only", "age_test", "--size", "9"]) == 0
        runs.append([(key, label, planes.tobytes()) for key, label, planes in records("data/lmdb/age_test_lmdb")])
    first, second = runs
    assert first == second
    assert main(["create-lmdb", "--only", "age_test", "--size", "9", "--seed", "2"]) == 0
    other = list(records("data/lmdb/age_test_lmdb"))
    assert [key[9:] for key, _, _ in first] != [key[9:] for key, _, _ in other]
    assert os.listdir("data/lmdb") == ["age_test_lmdb"]


def test_all_missing_lists_are_reported_first(checkout, capsys):
    os.remove("data/DEF/age_test.txt")
    os.remove("data/DEF/gender_test.txt")
    assert main(["create-lmdb"]) == 1
    text = capsys.readouterr().err
    assert "data/DEF/age_test.txt" in text and "data/DEF/gender_test.txt" in text
    assert "build_dataset.py" in text
    assert not os.path.exists("data/lmdb")


def test_an_unreadable_image_is_reported_and_sets_the_exit_status(checkout, capsys):
    with open("data/faces/7 a.png", "wb") as stream:
        stream.write(b"not an image")
    assert main(["create-lmdb", "--size", "8"]) == 1
    captured = capsys.readouterr()
    assert "data/DEF/gender_test.txt:5" in captured.err and "7 a.png" in captured.err
    assert "data/lmdb/age_train_lmdb: 6 records\n" in captured.out
    assert "data/lmdb/gender_test_lmdb: 5 records, 1 left out\n" in captured.out
    assert main(["create-lmdb", "--size", "8", "--allow_broken"]) == 0


def test_a_killed_run_repeated_gives_the_same_lmdbs(checkout):
    assert main(["create-lmdb", "--size", "64"]) == 0
    expected_records = {part: list(records(f"data/lmdb/{part}_lmdb")) for part in PARTS}
    for part in PARTS:
        os.rename(f"data/lmdb/{part}_lmdb", "old_" + part)
    command = [sys.executable, "-m", "agegender", "create-lmdb", "--size", "64", "--workers", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not os.path.isdir("data/lmdb") and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for part in PARTS:
        path = f"data/lmdb/{part}_lmdb"
        assert not os.path.exists(path) or len(list(records(path))) == 6, "expected a complete LMDB or none"
    subprocess.run(command, check=True, capture_output=True)
    for part in PARTS:
        actual = list(records(f"data/lmdb/{part}_lmdb"))
        assert [a[:2] for a in actual] == [b[:2] for b in expected_records[part]]
        assert all((a[2] == b[2]).all() for a, b in zip(actual, expected_records[part]))
    assert sorted(os.listdir("data/lmdb")) == sorted(part + "_lmdb" for part in PARTS)


def test_the_mean_is_of_the_age_training_images(checkout, capsys):
    assert main(["create-mean"]) == 1
    assert "create_lmdb.sh" in capsys.readouterr().err
    main(["create-lmdb", "--size", "16"])
    assert main(["create-mean"]) == 0
    planes = [record[2].astype(np.float64) for record in records("data/lmdb/age_train_lmdb")]
    expected = np.mean(planes, axis=0)
    mean = np.load("age_gender_mean.npy")
    assert mean.dtype == np.float32 and mean.shape == (3, 16, 16)
    np.testing.assert_allclose(mean, expected, rtol=1e-6)
    blob = caffe_pb2.BlobProto.FromString(Path("data/mean/mean.binaryproto").read_bytes())
    assert (blob.num, blob.channels, blob.height, blob.width) == (1, 3, 16, 16)
    assert np.array_equal(np.array(blob.data, np.float32).reshape(3, 16, 16), mean)
    captured = capsys.readouterr()
    assert "the mean of 6 images" in captured.out and "train_AgeNet.sh" in captured.err
    assert main(["create-mean", "--npy", "mean.txt"]) == 1
