"""Draw pairs of digits into two LMDBs of 2 x 28 x 28 Datums (label 1: the same digit), data/siamese/*_lmdb."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from caffe.data import datum
from caffe.data.db import create_db

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from drawing import digits, sizes


def pairs(count, seed):
    """Yield (2 x 28 x 28 uint8, 1 or 0): half of the pairs show one digit twice."""
    pictures, labels = digits(2 * count, seed)
    rng = np.random.default_rng(seed)
    for i in range(count):
        alike = np.flatnonzero((labels == labels[i]) == (i % 2 == 0))
        other = rng.choice(alike)
        yield np.stack([pictures[i], pictures[other]]), int(labels[i] == labels[other])


def main():
    """Write both databases."""
    for seed, (part, count) in enumerate(sizes(__doc__).items()):
        with create_db(Path("data/siamese") / (part + "_lmdb"), overwrite=True) as writer:
            for i, (pair, label) in enumerate(pairs(count, seed)):
                writer.put(b"%08d" % i, datum.encode(pair, label))


if __name__ == "__main__":
    main()
