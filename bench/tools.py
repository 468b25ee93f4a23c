#!/usr/bin/env python3
"""Images per second of convert_imageset and compute_image_mean, compared with a simple loop of OpenCV and lmdb."""

import shutil
import sys
import tempfile
from pathlib import Path

import _harness
import cv2
import nets
import numpy as np

IMAGES = 3000


def main():
    args = _harness.arguments(__doc__, rounds=5).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        listing = write_images(Path(folder))
        cases = [measure(name, jobs, args.rounds) for name, jobs in programs(Path(folder), listing).items()]
    _harness.save("tools", images=IMAGES, cases=cases)


def write_images(folder):
    """Write JPEGs of 200 x 200 that compress like photographs, and their list file; return its path."""
    rng, rows = np.random.default_rng(0), []
    for i in range(IMAGES):
        path = folder / f"{i:05d}.jpg"
        image = nets.smooth_image(rng, (3, 200, 200)).transpose(1, 2, 0)
        cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 92])
        rows.append(f"{path} {i % 9}")
    (folder / "list.txt").write_text("\n".join(rows) + "\n")
    return folder / "list.txt"


def programs(folder, listing):
    """Return {tool: {"ours" or "loop": (command, its output or None)}}."""
    here, caffe = _harness.HERE, [sys.executable, "-m", "caffe"]
    loop = [sys.executable, here / "naive_loop.py"]
    size = ["--resize_height=227", "--resize_width=227"]
    database, loop_database = folder / "database", folder / "loop_database"
    return {
        "convert_imageset": {
            "ours": ([*caffe, "convert_imageset", *size, "/", listing, database], database),
            "loop": ([*loop, "convert", listing, loop_database], loop_database),
        },
        "compute_image_mean": {
            "ours": ([*caffe, "compute_image_mean", database, folder / "mean.binaryproto"], None),
            "loop": ([*loop, "mean", database, folder / "mean.npy"], None),
        },
    }


def measure(tool, jobs, rounds):
    print(tool, file=sys.stderr)
    laps = []
    for number in range(rounds + 1):
        names = sorted(jobs) if number % 2 else sorted(jobs, reverse=True)
        lap = {name: run_once(*jobs[name]) for name in names}
        if number:  # the first round warms the disk cache
            laps.append(lap)
            print("  " + "  ".join("{} {:.3g} s".format(n, v["wall"]) for n, v in lap.items()), file=sys.stderr)
    rates = {name: IMAGES / _harness.median(laps, name) for name in jobs}
    return {
        "tool": tool,
        "images per second": rates,
        "rounds": laps,
        "loop over ours": _harness.ratio(laps, "loop", "ours"),
        "memory, MB": max(lap["ours"]["memory"] for lap in laps),
    }


def run_once(command, output):
    """Remove an earlier output and run the command; return its time and memory."""
    if output:
        shutil.rmtree(output, ignore_errors=True)
    result = _harness.run_measured(command)
    if result.pop("status"):
        raise RuntimeError(f"{' '.join(map(str, command))} failed")
    return result


if __name__ == "__main__":
    main()
