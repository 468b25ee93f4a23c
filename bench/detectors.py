#!/usr/bin/env python3
"""Face detectors that need no download at run time, on montages of aligned faces: recall, false boxes, landmarks, time.

    detectors.py --faces DIR      a folder of aligned faces, e.g. data/UTKFace_AsianOnly (default: synthetic faces)

Prints the table of docs/adr/0007.
"""

import json
import subprocess
import sys
import tempfile

import _baselines
import _harness
import numpy as np

from agegender import synthetic_faces
from agegender.inference import yunet

KINDS = (
    *("24 px", "32 px", "48 px", "100 px", "400 px"),
    *("rotated by 30 degrees", "rotated by 45 degrees", "rotated by 90 degrees"),
    *("20 % brightness", "blurred", "25 % outside the image"),
)


def main():
    parser = _harness.arguments(__doc__, rounds=1)
    parser.add_argument("--faces", help="folder of aligned faces")
    parser.add_argument("--count", type=int, default=90, help="faces per kind of montage (default 90)")
    args = parser.parse_args()
    python, reason = _baselines.python("detectors")
    if python is None:
        raise SystemExit("the environment with the other detectors is not available: " + reason)
    with tempfile.TemporaryDirectory() as folder:
        faces = args.faces or draw_faces(folder, args.count)
        command = [python, _harness.HERE / "detectors_worker.py", faces, yunet.FILE, str(args.count)]
        results = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    table = summary(results)
    for line in table:
        print(line)
    _harness.save("detectors", results={name: without_boxes(kinds) for name, kinds in results.items()}, table=table)


def draw_faces(folder, count):
    """Write synthetic faces to a folder and return it."""
    import cv2

    for number in range(count):
        cv2.imwrite(f"{folder}/{number:03d}.png", synthetic_faces.draw(number % 90, bool(number % 2), (1, number)))
    return folder


def without_boxes(kinds):
    """Return the results without the lists of boxes and eyes."""
    return {
        kind: {name: value for name, value in metrics.items() if name not in ("boxes", "eyes")}
        for kind, metrics in kinds.items()
    }


def summary(results):
    """Return the lines of a Markdown table with one column per detector."""
    truth = np.mean([np.mean(kinds["200 px"]["eyes"], 0) for kinds in results.values() if kinds["200 px"]["eyes"]], 0)
    rows = [
        ("recall: " + kind, [f"{100 * kinds[kind]['recall']:.0f} %" for kinds in results.values()]) for kind in KINDS
    ]
    rows += [
        (
            "false boxes per montage",
            ["{:.2f}".format(np.mean(of_montages(kinds, "false"))) for kinds in results.values()],
        ),
        (
            "boxes in 18 photographs without faces",
            [f"{kinds['without a face']['boxes']:d}" for kinds in results.values()],
        ),
        ("overlap of boxes with their mean", [f"{steadiness(kinds):.2f}" for kinds in results.values()]),
        ("error of the eyes, fraction of their distance", [eye_error(kinds, truth) for kinds in results.values()]),
        (
            "ms on one core, 1200 x 900",
            ["{:.0f}".format(np.median(of_montages(kinds, "milliseconds"))) for kinds in results.values()],
        ),
    ]
    lines = ["| | " + " | ".join(results) + " |", "| --- |" + " --- |" * len(results)]
    return lines + ["| {} | {} |".format(name, " | ".join(cells)) for name, cells in rows]


def of_montages(kinds, name):
    """Return one metric for every kind of montage."""
    return [metrics[name] for metrics in kinds.values() if name in metrics]


def steadiness(kinds):
    """Return the mean intersection over union of the boxes of 100-pixel faces with the mean box of 200-pixel faces."""
    mean = np.mean(kinds["200 px"]["boxes"], 0)
    return (
        np.mean([overlap(np.array(box), mean) for box in kinds["100 px"]["boxes"]])
        if kinds["100 px"]["boxes"]
        else np.nan
    )


def overlap(first, second):
    """Return the intersection over union of two boxes (left, top, right, bottom)."""
    shared = np.clip(np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2]), 0, None).prod()
    return shared / ((first[2:] - first[:2]).prod() + (second[2:] - second[:2]).prod() - shared)


def eye_error(kinds, truth):
    """Return the mean distance of the eyes of 48- and 100-pixel faces from the mean position in 200-pixel faces."""
    eyes = np.array(kinds["48 px"]["eyes"] + kinds["100 px"]["eyes"])
    if not len(eyes):
        return "no eyes"
    return f"{np.linalg.norm(eyes - truth, axis=-1).mean() / np.linalg.norm(truth[1] - truth[0]):.3f}"


if __name__ == "__main__":
    sys.exit(main())
