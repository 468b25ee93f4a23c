"""The peer of the tools where there is no C++ binary of Caffe: a short loop of OpenCV and lmdb, one thread.

plain_loop.py convert LIST DB | mean DB FILE
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
            picture = cv2.resize(cv2.imread(path), (227, 227)).transpose(2, 0, 1)
            record = caffe_pb2.Datum(channels=3, height=227, width=227, data=picture.tobytes(), label=int(label))
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
            picture = np.frombuffer(record.data, np.uint8).reshape(record.channels, record.height, record.width)
            total = picture.astype(np.float32) if total is None else total + picture
            count += 1
    np.save(target, total / count)


if __name__ == "__main__":
    {"convert": convert, "mean": mean}[sys.argv[1]](*sys.argv[2:])
