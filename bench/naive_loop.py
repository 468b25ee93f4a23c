"""Baselines for the tools without C++ binaries of Caffe: simple loops with OpenCV and lmdb.

naive_loop.py convert LIST DB | mean DB FILE | decode LIST [FILE]

`convert` and `mean` use one thread. `decode` only reads, decodes and resizes, in one thread per core, and writes the
pixels one after another to FILE if it is given.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import lmdb
import numpy as np

from caffe.core import malloc
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


def decode(listing, target=None):
    with open(listing) as stream:
        paths = [line.rsplit(" ", 1)[0] for line in stream.read().splitlines()]
    threads = len(os.sched_getaffinity(0))
    malloc.retain_freed_memory()  # else the page faults of large images take as long as a fifth of their decoding
    cv2.setNumThreads(1)

    def part(number):
        images = (cv2.resize(cv2.imread(path), (227, 227)) for path in paths[number : number + 8])
        return list(images) if target else sum(1 for _ in images)

    with ThreadPoolExecutor(threads) as pool, open(target or os.devnull, "wb", buffering=0) as stream:
        for start in range(0, len(paths), 1000):
            for images in pool.map(part, range(start, min(start + 1000, len(paths)), 8)):
                for image in images if target else ():
                    stream.write(image)
        if target:
            os.fsync(stream.fileno())


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
    {"convert": convert, "mean": mean, "decode": decode}[sys.argv[1]](*sys.argv[2:])
