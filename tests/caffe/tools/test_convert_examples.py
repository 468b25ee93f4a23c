"""convert_mnist_data, convert_mnist_siamese_data and convert_cifar_data: records as protobuf serializes them."""

import gzip
import struct

import numpy as np
import pytest

from caffe.data.db import open_db
from caffe.proto import caffe_pb2
from caffe.tools import main

RNG = np.random.default_rng(3)


def write_idx(folder, images, labels, magic=2051):
    rows, columns = images.shape[1:]
    header = struct.pack(">4I", magic, len(images), rows, columns)
    (folder / "images").write_bytes(header + images.tobytes())
    (folder / "labels").write_bytes(struct.pack(">2I", 2049, len(labels)) + labels.tobytes())
    return [str(folder / "images"), str(folder / "labels"), str(folder / "db")]


@pytest.fixture
def mnist(tmp_path):
    images = RNG.integers(256, size=(1203, 3, 4), dtype=np.uint8)
    labels = RNG.integers(10, size=1203, dtype=np.uint8)
    return images, labels, write_idx(tmp_path, images, labels)


def datum(pixels, label):
    channels, height, width = pixels.shape
    message = caffe_pb2.Datum(
        channels=channels, height=height, width=width, data=pixels.tobytes(), label=label, encoded=False
    )
    return message.SerializeToString()


def records(path, backend):
    with open_db(path, backend) as db:
        return list(db)


@pytest.mark.parametrize("backend", ["lmdb", "leveldb"])
def test_mnist(mnist, backend, capsys):
    images, labels, files = mnist
    assert main(["convert_mnist_data", *files, f"--backend={backend}"]) == 0
    expected = [(b"%08d" % i, datum(images[i : i + 1], labels[i])) for i in range(len(images))]
    assert records(files[2], backend) == expected
    lines = [line.split("] ")[1] for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        f"Opening {backend} {files[2]}", "A total of 1203 items.", "Rows: 3 Cols: 4", "Processed 1203 files.",
    ]  # fmt: skip


def test_mnist_of_full_batches_logs_no_last_line(tmp_path, capsys):
    files = write_idx(tmp_path, np.zeros((1000, 1, 1), np.uint8), np.zeros(1000, np.uint8))
    assert main(["convert_mnist_data", *files]) == 0
    assert "Processed" not in capsys.readouterr().err


def test_an_existing_database_is_kept(mnist, capsys):
    files = mnist[2]
    assert main(["convert_mnist_data", *files]) == 0
    before = records(files[2], "lmdb")
    assert main(["convert_mnist_data", *files]) == 1
    assert "exists" in capsys.readouterr().err and records(files[2], "lmdb") == before
    assert main(["convert_mnist_data", *files, "-overwrite"]) == 0


def test_siamese(mnist):
    images, labels, files = mnist
    assert main(["convert_mnist_siamese_data", *files]) == 0
    found = records(files[2], "leveldb")
    assert [key for key, _ in found] == [b"%08d" % i for i in range(len(images))]
    index = {image.tobytes(): label for image, label in zip(images, labels)}
    same = 0
    for _, value in found:
        message = caffe_pb2.Datum.FromString(value)
        assert (message.channels, message.height, message.width) == (2, 3, 4)
        first, second = index[message.data[:12]], index[message.data[12:]]
        assert message.label == (first == second)
        same += message.label
    assert 0.05 < same / len(found) < 0.16  # a tenth of all pairs of digits


def header(*words):
    return struct.pack(f">{len(words)}I", *words)


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("images", header(2049, 1, 1, 1), "Incorrect image file magic: expected 2051, received 2049"),
        ("labels", header(2051, 1), "Incorrect label file magic: expected 2049, received 2051"),
        ("images", b"", "the file is empty"),
        ("images", b"\0\0", "2 bytes"),
        ("images", header(2051, 5), "ends within its header"),
        ("images", header(2051, 1203, 3, 4) + bytes(1203 * 12 - 1), "expected 14452 bytes"),
        ("images", header(2051, 1203, 2**31, 2**31), "the limit is"),
        ("images", header(2051, 1202, 3, 4), "1202 images"),
        ("labels", header(2049, 1203) + b"\1", "expected 1211 bytes"),
        ("images", gzip.compress(header(2051, 1), mtime=0), "gunzip"),
        ("labels", None, "Unable to open file"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else str(value)[:30],
)
@pytest.mark.parametrize("tool", ["convert_mnist_data", "convert_mnist_siamese_data"])
def test_damaged_idx_files(mnist, tmp_path, tool, name, content, message, capsys):
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main([tool, *mnist[2]]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not (tmp_path / "db").exists()


def write_cifar(folder, count):
    files = {}
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        files[name] = RNG.integers(256, size=(count, 3073), dtype=np.uint8)
        files[name][:, 0] %= 10
        (folder / f"{name}.bin").write_bytes(files[name].tobytes())
    return files


@pytest.mark.parametrize("backend, count", [("lmdb", 10000), ("leveldb", 300)])
def test_cifar(tmp_path, backend, count, capsys):
    files = write_cifar(tmp_path, count)
    assert main(["convert_cifar_data", str(tmp_path), str(tmp_path), backend]) == 0
    lines = [line.split("] ")[1] for line in capsys.readouterr().err.splitlines() if line.startswith("I")]
    batches = [f"Training Batch {i}" for i in range(1, 6)]
    assert lines == ["Writing Training data", *batches, "Writing Testing data"]
    for part, names in (("train", sorted(files)[:5]), ("test", ["test_batch"])):
        with open_db(tmp_path / f"cifar10_{part}_{backend}", backend) as db:
            assert len(db) == len(names) * count
            for index in (0, 1, count - 1, len(db) - 1):
                number, item = divmod(index, count)
                record = files[names[number]][item]
                expected = datum(record[1:].reshape(3, 32, 32), record[0])
                assert db.record(index) == (b"%05d" % (10000 * number + item), expected)


def test_damaged_cifar_files(tmp_path, capsys):
    words = ["convert_cifar_data", str(tmp_path), str(tmp_path), "lmdb"]
    assert main(words) == 1 and "Unable to open train file #1" in capsys.readouterr().err
    for i in range(1, 6):
        (tmp_path / f"data_batch_{i}.bin").write_bytes(bytes(3073 * 2))
    assert main(words) == 1 and "Unable to open test file" in capsys.readouterr().err
    (tmp_path / "test_batch.bin").write_bytes(bytes(3073 * 2 - 1))
    assert main(words) == 1 and "expected 30730000 bytes" in capsys.readouterr().err
    assert not list(tmp_path.glob("cifar10*"))
    (tmp_path / "test_batch.bin").write_bytes(bytes(3073))
    assert main(words[:-1] + ["rocksdb"]) == 1 and "lmdb or leveldb" in capsys.readouterr().err
    assert main(words) == 0 and "2 records; a file of CIFAR-10 has 10000" in capsys.readouterr().err
    assert [key for key, _ in records(tmp_path / "cifar10_train_lmdb", "lmdb")][:3] == [b"00000", b"00001", b"10000"]
