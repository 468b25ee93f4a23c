#!/usr/bin/env python3
"""Pictures a second of convert_imageset and compute_image_mean, beside a short loop of OpenCV and lmdb."""

import shutil
import sys
import tempfile
from pathlib import Path

import _harness
import cv2
import numpy as np
from support import small_solvers

IMAGE_SUFFIXES = 3000


def main():
    args = _harness.arguments(__doc__, rounds=5).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        listing = pictures(Path(folder))
        cases = [measure(name, jobs, args.rounds) for name, jobs in programs(Path(folder), listing).items()]
    _harness.save("tools", pictures=IMAGE_SUFFIXES, cases=cases)


def pictures(folder):
    """JPEGs of 200 x 200 that compress as photographs do, and their list."""
    rng, rows = np.random.default_rng(0), []
    for i in range(IMAGE_SUFFIXES):
        path = folder / ("%05d.jpg" % i)
        picture = small_solvers._smooth(rng, (3, 200, 200)).transpose(1, 2, 0)
        cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 92])
        rows.append("%s %d" % (path, i % 9))
    (folder / "list.txt").write_text("\n".join(rows) + "\n")
    return folder / "list.txt"


def programs(folder, listing):
    """{tool: {"ours" or "loop": (command, what it makes)}}"""
    here, caffe = _harness.HERE, [sys.executable, "-m", "caffe"]
    loop = [sys.executable, here / "plain_loop.py"]
    size = ["--resize_height=227", "--resize_width=227"]
    ours, theirs = folder / "ours", folder / "theirs"
    return {
        "convert_imageset": {
            "ours": ([*caffe, "convert_imageset", *size, "/", listing, ours], ours),
            "loop": ([*loop, "convert", listing, theirs], theirs),
        },
        "compute_image_mean": {
            "ours": ([*caffe, "compute_image_mean", ours, folder / "mean.binaryproto"], None),
            "loop": ([*loop, "mean", ours, folder / "mean.npy"], None),
        },
    }


def measure(tool, jobs, rounds):
    print(tool, file=sys.stderr)
    laps = []
    for number in range(rounds + 1):
        names = sorted(jobs) if number % 2 else sorted(jobs, reverse=True)
        lap = {name: timed(*jobs[name]) for name in names}
        if number:  # the first one warms the disk
            laps.append(lap)
            print("  " + "  ".join("{} {:.3g} s".format(n, v["wall"]) for n, v in lap.items()), file=sys.stderr)
    rates = {name: IMAGE_SUFFIXES / _harness.median(laps, name) for name in jobs}
    return {"tool": tool, "pictures a second": rates, "rounds": laps,
            "loop over ours": _harness.ratio(laps, "loop", "ours"),
            "memory, MB": max(lap["ours"]["memory"] for lap in laps)}  # fmt: skip


def timed(command, made):
    """Seconds and memory of one run; what it made before is removed first."""
    if made:
        shutil.rmtree(made, ignore_errors=True)
    done = _harness.measured(command)
    if done.pop("status"):
        raise RuntimeError("{} failed".format(" ".join(map(str, command))))
    return done


if __name__ == "__main__":
    main()
