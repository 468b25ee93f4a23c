#!/usr/bin/env python3
"""What finding and cutting out costs in accuracy: test faces as they are, and pasted into pictures and found again.

Wants what ./run.sh leaves: data/DEF/{age,gender}_test.txt and graph/.
"""

import sys
from pathlib import Path

import _harness
import _montage
import cv2
import numpy as np

from agegender.inference import detect, face_crop, predict
from ncs.runtime import open_runner
from ncs.runtime.manifest import Manifest

DETECTOR = detect.Detector()
ROOT = Path(__file__).resolve().parent.parent
NETS = {"AgeNet": "age", "GenderNet": "gender"}
# name: side of the pasted chip, degrees it is turned, whether it is cut out by its landmarks
CASES = {
    "pasted, found and aligned": (200, 0, True),
    "the same, 100 pixels": (100, 0, True),
    "the same, 380 pixels": (380, 0, True),
    "turned by 20 degrees, aligned": (200, 20, True),
    "turned by 20 degrees, squared box": (200, 20, False),
}


def main():
    parser = _harness.arguments(__doc__, rounds=1)
    parser.add_argument("--count", type=int, default=676, help="faces (default: all 676 of the default split)")
    args = parser.parse_args()
    samples = labelled(args.count)
    heads = {}
    for name in NETS:
        manifest = Manifest.read(str(ROOT / "graph" / (name + ".json")))
        heads[name] = predict.NetPredictor(manifest, open_runner("CPU", manifest, batch=1))
    rows = {"the chips themselves": evaluate(heads, samples, lambda chip, transform: chip)}
    for name, case in CASES.items():
        rows[name] = evaluate(heads, samples, lambda chip, transform, case=case: again(chip, transform, *case))
    for name, row in rows.items():
        print("| {} | {} |".format(name, " | ".join("%.1f %%" % (100 * share) for share in row)))
    _harness.save("pasted", faces=len(samples), rows=rows)


def labelled(count):
    """[(picture, {net: class})] of the test lists' common faces."""
    lists = {}
    for net, task in NETS.items():
        lines = (ROOT / "data" / "DEF" / (task + "_test.txt")).read_text().splitlines()
        lists[net] = dict(line.rsplit(" ", 1) for line in lines)
    paths = sorted(set.intersection(*(set(entries) for entries in lists.values())))
    np.random.default_rng(0).shuffle(paths)
    return [(cv2.imread(str(ROOT / path)), {net: int(lists[net][path]) for net in NETS}) for path in paths[:count]]


def evaluate(heads, samples, cut):
    """Share of right answers of each net (they share their Transform), and of faces not found, which count as wrong."""
    right, lost = dict.fromkeys(heads, 0), 0
    transform = next(iter(heads.values())).transform
    for chip, truth in samples:
        shown = cut(chip, transform)
        if shown is None:
            lost += 1
            continue
        blob = transform.image(shown)[None]
        for name, head in heads.items():
            right[name] += int(head.runner.run(blob)[0].argmax()) == truth[name]
    return [*(count / len(samples) for count in right.values()), lost / len(samples)]


def again(chip, transform, side, angle, align):
    """The face of a chip that was pasted into a picture, or None when it is not found there."""
    rng = np.random.default_rng(7)
    picture = _montage.background(rng)[:600, :700]
    _montage.paste(picture, chip, np.array([350.0, 300.0]), side, rng, angle=angle)
    found = DETECTOR.find(picture)
    if not found:
        return None
    if not align:
        return face_crop.cut(picture, face_crop.squared(found[0].box), transform.margin)
    return face_crop.aligned(picture, found[0].landmarks, transform.landmarks, transform.margin)


if __name__ == "__main__":
    sys.exit(main())
