"""Write colored shapes to PNG files and their lists, data/cifar10/train.txt and test.txt."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2

from caffe.utils.atomic_io import write_bytes

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from drawing import shapes, sizes


def main() -> None:
    """Write the images and lists."""
    for seed, (part, count) in enumerate(sizes(__doc__).items()):
        folder = Path("data/cifar10") / part
        folder.mkdir(parents=True, exist_ok=True)
        lines = []
        for i, (image, label) in enumerate(zip(*shapes(count, seed))):
            cv2.imwrite(str(folder / f"{i:05d}.png"), image)
            lines.append(f"{part}/{i:05d}.png {label}\n")
        write_bytes(folder.with_suffix(".txt"), "".join(lines))


if __name__ == "__main__":
    main()
