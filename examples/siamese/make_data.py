"""Write pairs of digits to two LMDBs of 2 x 28 x 28 Datums (label 1: the same digit), data/siamese/*_lmdb."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from caffe.data import datum
from caffe.data.db import create_db

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from drawing import digits, sizes


def pairs(count: int, seed: int) -> Iterator[tuple[np.ndarray, int]]:
    """Yield (uint8 array of shape (2, 28, 28), label); half of the pairs show the same digit and have label 1."""
    images, labels = digits(2 * count, seed)
    rng = np.random.default_rng(seed)
    for i in range(count):
        candidates = np.flatnonzero((labels == labels[i]) == (i % 2 == 0))
        other = rng.choice(candidates)
        yield np.stack([images[i], images[other]]), int(labels[i] == labels[other])


def main() -> None:
    """Write both databases."""
    for seed, (part, count) in enumerate(sizes(__doc__).items()):
        with create_db(Path("data/siamese") / (part + "_lmdb"), overwrite=True) as writer:
            for i, (pair, label) in enumerate(pairs(count, seed)):
                writer.put(b"%08d" % i, datum.encode(pair, label))


if __name__ == "__main__":
    main()
