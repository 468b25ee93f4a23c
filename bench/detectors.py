#!/usr/bin/env python3
"""Face detectors that need no download at run time, on montages of aligned faces: recall, false boxes, landmarks, time.

    detectors.py --faces DIR      a folder of aligned chips, e.g. data/UTKFace_AsianOnly (default: faces drawn by the program)

The table of docs/adr/0007 is what it prints.
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

KINDS = ("24 px", "32 px", "48 px", "100 px", "400 px", "turned 30 degrees", "turned 45 degrees", "turned 90 degrees",
         "a fifth of the light", "blurred", "a quarter outside")  # fmt: skip


def main():
    parser = _harness.arguments(__doc__, rounds=1)
    parser.add_argument("--faces", help="folder of aligned faces")
    parser.add_argument("--count", type=int, default=90, help="faces of a kind (default 90)")
    args = parser.parse_args()
    python, why = _baselines.python("detectors")
    if python is None:
        raise SystemExit("the environment with the other detectors is missing: " + why)
    with tempfile.TemporaryDirectory() as folder:
        faces = args.faces or drawn(folder, args.count)
        command = [python, _harness.HERE / "detectors_worker.py", faces, yunet.FILE, str(args.count)]
        told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    table = summary(told)
    for line in table:
        print(line)
    _harness.save("detectors", told={name: trimmed(kinds) for name, kinds in told.items()}, table=table)


def drawn(folder, count):
    """A folder of drawn faces."""
    import cv2

    for number in range(count):
        cv2.imwrite("%s/%03d.png" % (folder, number), synthetic_faces.draw(number % 90, bool(number % 2), (1, number)))
    return folder


def trimmed(kinds):
    """Results without every single box."""
    return {
        kind: {name: value for name, value in told.items() if name not in ("boxes", "eyes")}
        for kind, told in kinds.items()
    }


def summary(told):
    """Lines of a Markdown table: a column a detector."""
    truth = np.mean([np.mean(kinds["200 px"]["eyes"], 0) for kinds in told.values() if kinds["200 px"]["eyes"]], 0)
    rows = [
        ("found: " + kind, ["%.0f %%" % (100 * kinds[kind]["recall"]) for kinds in told.values()]) for kind in KINDS
    ]
    rows += [
        ("false boxes a montage", ["{:.2f}".format(np.mean(of_montages(kinds, "false"))) for kinds in told.values()]),
        ("boxes in 18 photographs of things", ["%d" % kinds["without a face"]["boxes"] for kinds in told.values()]),
        ("boxes' overlap with their mean", [f"{steadiness(kinds):.2f}" for kinds in told.values()]),
        ("eyes off, share of their distance", [eyes_off(kinds, truth) for kinds in told.values()]),
        (
            "ms of one core, 1200 x 900",
            ["{:.0f}".format(np.median(of_montages(kinds, "milliseconds"))) for kinds in told.values()],
        ),
    ]
    lines = ["| | " + " | ".join(told) + " |", "| --- |" + " --- |" * len(told)]
    return lines + ["| {} | {} |".format(name, " | ".join(cells)) for name, cells in rows]


def of_montages(kinds, name):
    """One value of every kind of montage."""
    return [told[name] for told in kinds.values() if name in told]


def steadiness(kinds):
    """Mean intersection over union of the boxes of upright 100-pixel chips with the mean box of 200-pixel ones."""
    mean = np.mean(kinds["200 px"]["boxes"], 0)
    return (
        np.mean([overlap(np.array(box), mean) for box in kinds["100 px"]["boxes"]])
        if kinds["100 px"]["boxes"]
        else np.nan
    )


def overlap(one, other):
    """Intersection over union of (left, top, right, bottom)."""
    shared = np.clip(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0, None).prod()
    return shared / ((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod() - shared)


def eyes_off(kinds, truth):
    """How far the eyes of 48- and 100-pixel chips lie from where the detectors together see them in 200-pixel ones."""
    eyes = np.array(kinds["48 px"]["eyes"] + kinds["100 px"]["eyes"])
    if not len(eyes):
        return "no eyes"
    return "%.3f" % (np.linalg.norm(eyes - truth, axis=-1).mean() / np.linalg.norm(truth[1] - truth[0]))


if __name__ == "__main__":
    sys.exit(main())
