"""Baseline for the tools without C++ binaries of Caffe: a simple loop with OpenCV and lmdb, single-threaded.

naive_loop.py convert LIST DB | mean DB FILE
"""

import sys

import cv2
import lmdb
import numpy as np

from caffe.proto import caffe_pb2


def convert(listing, target):
    with open(listing) as stream:
        rows = [line.rsplit(" ", 1) for line in stream.read().splitlines()]
    with lmdb.open(target, map_size=1 << 40) as env:
        batch = []
        for number, (path, label) in enumerate(rows):
            image = cv2.resize(cv2.imread(path), (227, 227)).transpose(2, 0, 1)
            record = caffe_pb2.Datum(channels=3, height=227, width=227, data=image.tobytes(), label=int(label))
            batch.append((b"%08d_%s" % (number, path.encode()), record.SerializeToString()))
            if len(batch) == 1000 or number == len(rows) - 1:
                with env.begin(write=True) as transaction:
                    transaction.cursor().putmulti(batch)
                batch = []


def mean(source, target):
    with lmdb.open(source, readonly=True, lock=False) as env, env.begin() as transaction:
        total, count = None, 0
        for _, value in transaction.cursor():
            record = caffe_pb2.Datum.FromString(value)
            image = np.frombuffer(record.data, np.uint8).reshape(record.channels, record.height, record.width)
            total = image.astype(np.float32) if total is None else total + image
            count += 1
    np.save(target, total / count)


if __name__ == "__main__":
    {"convert": convert, "mean": mean}[sys.argv[1]](*sys.argv[2:])
