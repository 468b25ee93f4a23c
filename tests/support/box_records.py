"""A database of images with boxes: coloured rectangles on a dim, noisy ground. Label 1 is red, label 2 is blue."""

import numpy as np

from caffe.data import datum
from caffe.data.boxes import record
from caffe.data.db import create_db

COLOURS = {1: (40, 40, 230), 2: (230, 60, 40)}  # BGR


def picture(rng, side=48, most=2):
    """Return an image (3, side, side) and its boxes (n, 7)."""
    image = rng.integers(0, 80, (side, side, 3)).astype(np.uint8)
    rows = []
    for _ in range(rng.integers(1, most + 1)):
        width, height = rng.integers(side // 3, side // 2, 2)
        left, top = rng.integers(0, side - width), rng.integers(0, side - height)
        if any(left < r[2] and r[0] < left + width and top < r[3] and r[1] < top + height for r in rows):
            continue
        label = int(rng.integers(1, 3))
        image[top : top + height, left : left + width] = COLOURS[label]
        rows.append((left, top, left + width, top + height, label))
    boxes = [[r[4], i, *(corner / side for corner in r[:4]), 0] for i, r in enumerate(rows)]
    return np.ascontiguousarray(image.transpose(2, 0, 1)), np.array(boxes, np.float32)


def write(path, count, seed=0, side=48):
    """Write `count` pictures to an LMDB at `path`."""
    rng = np.random.default_rng(seed)
    with create_db(path, "lmdb") as writer:
        for number in range(count):
            image, boxes = picture(rng, side)
            writer.put(b"%08d" % number, record.encode(datum.encode(image, 0), boxes))
    return path
