"""Draw coloured shapes as PNG files with their lists, data/cifar10/train.txt and test.txt."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2

from caffe.utils.atomic_io import write_bytes

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from drawing import shapes, sizes


def main():
    """Write pictures and lists."""
    for seed, (part, count) in enumerate(sizes(__doc__).items()):
        folder = Path("data/cifar10") / part
        folder.mkdir(parents=True, exist_ok=True)
        lines = []
        for i, (picture, label) in enumerate(zip(*shapes(count, seed))):
            cv2.imwrite(str(folder / ("%05d.png" % i)), picture)
            lines.append("%s/%05d.png %d\n" % (part, i, label))
        write_bytes(folder.with_suffix(".txt"), "".join(lines))


if __name__ == "__main__":
    main()
