"""Databases of CIFAR-10 with the records of Caffe's convert_cifar_data."""

from __future__ import annotations

import os

import numpy as np

from caffe.core import glog
from caffe.data import datum
from caffe.data.db import backend_name, create_db
from caffe.errors import CaffeError

SIZE, RECORD = 32, 1 + 3 * 32 * 32  # bytes: the label, then planes of red, green and blue
BATCH, TRAIN_BATCHES = 10000, 5  # records per file


def convert(folder: str, output: str, backend: str, overwrite: bool = False) -> tuple[int, int]:
    """Convert the binary version of CIFAR-10 to two databases.

    Parameters
    ----------
    folder : str
        Folder of data_batch_1.bin ... data_batch_5.bin and test_batch.bin.
    output : str
        Folder for cifar10_train_<backend> and cifar10_test_<backend>.
    backend : {"lmdb", "leveldb"}
    overwrite : bool
        Replace databases that exist.

    Returns
    -------
    int, int
        Numbers of records for training and for testing.

    Raises
    ------
    CaffeError
        If a file is missing or damaged; nothing is written then.
    """
    name = backend_name(backend)
    names = [f"data_batch_{number}.bin" for number in range(1, TRAIN_BATCHES + 1)]
    train = [_read(os.path.join(folder, file), f"train file #{i}") for i, file in enumerate(names, 1)]
    test = _read(os.path.join(folder, "test_batch.bin"), "test file")
    if not os.path.isdir(output):
        raise CaffeError(f"'{output}' is not a folder; expected the folder for the two databases")
    train_db = create_db(os.path.join(output, f"cifar10_train_{name}"), name, overwrite)
    test_db = create_db(os.path.join(output, f"cifar10_test_{name}"), name, overwrite)
    with test_db as test_writer, train_db as train_writer:  # both appear, or none
        glog.info("Writing Training data", "convert_cifar_data.cpp:52")
        for number, records in enumerate(train):
            glog.info(f"Training Batch {number + 1}", "convert_cifar_data.cpp:55")
            _write(train_writer, records, number * BATCH)
        glog.info("Writing Testing data", "convert_cifar_data.cpp:77")
        _write(test_writer, test, 0)
    return sum(map(len, train)), len(test)


def _read(path, title):
    """Map a file of records, (N, RECORD) of uint8."""
    try:
        size = os.path.getsize(path)
        if not size or size % RECORD or size > BATCH * RECORD:
            raise CaffeError(
                f"{path}: expected {BATCH * RECORD} bytes ({BATCH} records of {RECORD}: the binary version of "
                f"CIFAR-10), received {size}"
            )
        records = np.memmap(path, np.uint8, "r").reshape(-1, RECORD)
    except OSError as error:
        raise CaffeError(f"Unable to open {title}: {path}: {error.strerror}") from None
    if len(records) < BATCH:
        glog.warning(f"{path}: {len(records)} records; a file of CIFAR-10 has {BATCH}", "convert_cifar_data.cpp:58")
    return records


def _write(writer, records, first):
    head = datum.header(3, SIZE, SIZE)
    for item, record in enumerate(records, first):
        label = int(record[:1].view(np.int8)[0])  # Caffe reads a signed char
        writer.put(b"%05d" % item, head + record[1:].tobytes() + datum.trailer(label))
