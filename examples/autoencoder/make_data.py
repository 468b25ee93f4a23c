"""Write digits to HDF5 files (data: N x 1 x 28 x 28, 0 to 1) with lists, data/autoencoder/train.txt and test.txt."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np

from caffe.utils.atomic_io import atomic_write, write_bytes

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from drawing import digits, sizes


def main() -> None:
    """Write the files and lists."""
    folder = Path("data/autoencoder")
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (part, count) in enumerate(sizes(__doc__).items()):
        images, _ = digits(count, seed)
        with atomic_write(folder / (part + ".h5")) as temporary, h5py.File(temporary, "w") as file:
            file["data"] = images[:, None].astype(np.float32) / 255
        write_bytes(folder / (part + ".txt"), f"{folder}/{part}.h5\n")


if __name__ == "__main__":
    main()
