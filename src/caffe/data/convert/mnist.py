"""Databases of MNIST with the records of Caffe's convert_mnist_data and convert_mnist_siamese_data."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from caffe.core import glog
from caffe.data import datum
from caffe.data.convert import idx
from caffe.data.db import backend_name, create_db

SEED = 1701


def convert(
    images: str, labels: str, db_path: str | os.PathLike[str], backend: str = "lmdb", overwrite: bool = False
) -> int:
    """Convert a pair of idx files to a database, one Datum of one channel per image; return their number."""
    data = idx.read(images, labels)
    source = "convert_mnist_data.cpp"
    with _database(db_path, backend, overwrite, f"{source}:91", f"{source}:94") as writer:
        _log_sizes(data, f"{source}:121")
        head = datum.header(1, *data.images.shape[1:])
        for item, (image, label) in enumerate(zip(data.images, data.labels)):
            writer.put(b"%08d" % item, head + image.tobytes() + datum.trailer(int(label)))
    count = len(data.labels)
    if count % 1000:  # Caffe logs this line for a last, incomplete batch only, and as an error
        glog.error(f"Processed {count} files.", f"{source}:169")
    return count


def convert_siamese(
    images: str,
    labels: str,
    db_path: str | os.PathLike[str],
    backend: str = "leveldb",
    seed: int = SEED,
    overwrite: bool = False,
) -> int:
    """Convert a pair of idx files to a database of random pairs; return their number.

    A record has the two images as channels, and label 1 if both show the same digit. There are as many pairs as images,
    drawn with replacement.
    """
    data = idx.read(images, labels)
    with create_db(db_path, backend, overwrite) as writer:
        _log_sizes(data, "convert_mnist_siamese_data.cpp:90")
        head = datum.header(2, *data.images.shape[1:])
        for item, (i, j) in enumerate(_pairs(len(data.labels), seed)):
            pixels = data.images[i].tobytes() + data.images[j].tobytes()
            writer.put(b"%08d" % item, head + pixels + datum.trailer(int(data.labels[i] == data.labels[j])))
    return len(data.labels)


def _database(path, backend, overwrite, leveldb_source, lmdb_source):
    name = backend_name(backend)
    database = create_db(path, name, overwrite)
    glog.info(f"Opening {name} {path}", leveldb_source if name == "leveldb" else lmdb_source)
    return database


def _log_sizes(data, source):
    count, rows, columns = data.images.shape
    glog.info(f"A total of {count} items.", source)
    glog.info(f"Rows: {rows} Cols: {columns}", source)


def _pairs(count: int, seed: int) -> Iterator[tuple[int, int]]:
    generator = np.random.default_rng(seed)
    for i, j in generator.integers(count, size=(count, 2)):
        yield int(i), int(j)
