"""Write digits to two LMDBs of 1 x 28 x 28 Datums, data/lenet/train_lmdb and test_lmdb."""

from __future__ import annotations

import sys
from pathlib import Path

from caffe.data import datum
from caffe.data.db import create_db

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from drawing import digits, sizes


def main() -> None:
    """Write both databases."""
    for seed, (part, count) in enumerate(sizes(__doc__).items()):
        with create_db(Path("data/lenet") / (part + "_lmdb"), overwrite=True) as writer:
            for i, (image, label) in enumerate(zip(*digits(count, seed))):
                writer.put(b"%08d" % i, datum.encode(image[None], int(label)))


if __name__ == "__main__":
    main()
