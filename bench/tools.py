#!/usr/bin/env python3
"""Images per second of convert_imageset and compute_image_mean, compared with a simple loop of OpenCV and lmdb.

convert_imageset is also compared with reading, decoding and resizing alone, in as many threads, and with writing the
pixels to a file.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import _harness
import cv2
import nets
import numpy as np

IMAGES = {(200, 200): 3000, (375, 500): 1000}  # (height, width) -> number of images


def main():
    args = _harness.arguments(__doc__, rounds=5).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cases = []
        for size in IMAGES:
            part = Path(folder) / "x".join(map(str, size))
            part.mkdir()
            jobs = programs(part, write_images(part, size))
            names = jobs if size == (200, 200) else ["convert_imageset"]  # its records are 227 x 227 in any case
            cases += [measure(name, size, jobs[name], args.rounds) for name in names]
    _harness.save("tools", cases=cases)


def write_images(folder, size):
    """Write JPEGs of one size that compress like photographs, and their list file; return its path."""
    rng, rows = np.random.default_rng(0), []
    for i in range(IMAGES[size]):
        path = folder / f"{i:05d}.jpg"
        image = nets.smooth_image(rng, (3, *size)).transpose(1, 2, 0)
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
            "decode": ([*loop, "decode", listing], None),
            "decode, write": ([*loop, "decode", listing, folder / "pixels"], None),
        },
        "compute_image_mean": {
            "ours": ([*caffe, "compute_image_mean", database, folder / "mean.binaryproto"], None),
            "loop": ([*loop, "mean", database, folder / "mean.npy"], None),
        },
    }


def measure(tool, image_size, jobs, rounds):
    images = IMAGES[image_size]
    print(f"{tool}, {images} images of {image_size}", file=sys.stderr)
    laps = []
    for number in range(rounds + 1):
        names = sorted(jobs) if number % 2 else sorted(jobs, reverse=True)
        lap = {name: run_once(*jobs[name]) for name in names}
        if number:  # the first round warms the disk cache
            laps.append(lap)
            print("  " + "  ".join("{} {:.3g} s".format(n, v["wall"]) for n, v in lap.items()), file=sys.stderr)
    rates = {name: images / _harness.median(laps, name) for name in jobs}
    return {
        "tool": tool,
        "images": f"{images} of {image_size[1]} x {image_size[0]}",
        "images per second": rates,
        "rounds": laps,
        "loop over ours": _harness.ratio(laps, "loop", "ours"),
        "fraction of decoding alone": _harness.ratio(laps, "decode", "ours"),
        "fraction of decoding alone, CPU": _harness.ratio(laps, "decode", "ours", "cpu"),
        "fraction of decoding and writing": _harness.ratio(laps, "decode, write", "ours"),
        "fraction of decoding and writing, CPU": _harness.ratio(laps, "decode, write", "ours", "cpu"),
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
