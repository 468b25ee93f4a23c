#!/usr/bin/env python3
"""Effect of detection and cropping on accuracy: test faces as they are, and pasted into images and detected again.

Needs the output of ./run.sh: data/DEF/{age,gender}_test.txt and graph/.
"""

import sys
from pathlib import Path

import _harness
import _montage
import cv2
import numpy as np

from agegender.inference import net_predictor
from agegender.inference.faces import detect, face_crop, face_settings
from ncs.runtime import open_runner
from ncs.runtime.manifest import Manifest

DETECTOR = detect.Detector()
ROOT = Path(__file__).resolve().parent.parent
NETS = {"AgeNet": "age", "GenderNet": "gender"}
# name: size of the pasted face chip, rotation in degrees, whether it is aligned by its landmarks
CASES = {
    "pasted, detected and aligned": (200, 0, True),
    "the same, 100 pixels": (100, 0, True),
    "the same, 380 pixels": (380, 0, True),
    "rotated by 20 degrees, aligned": (200, 20, True),
    "rotated by 20 degrees, square box": (200, 20, False),
}


def main():
    parser = _harness.arguments(__doc__, rounds=1)
    parser.add_argument(
        "--count", type=int, default=676, help="number of faces (default: all 676 of the default split)"
    )
    args = parser.parse_args()
    samples = load_samples(args.count)
    predictors = {}
    for name in NETS:
        manifest = Manifest.read(str(ROOT / "graph" / (name + ".json")))
        predictors[name] = net_predictor.NetPredictor(manifest, open_runner("CPU", manifest, batch=1))
    rows = {"the face chips": evaluate(predictors, samples, lambda chip, transform: chip)}
    for name, case in CASES.items():
        rows[name] = evaluate(
            predictors, samples, lambda chip, transform, case=case: detect_again(chip, transform, *case)
        )
    for name, row in rows.items():
        print("| {} | {} |".format(name, " | ".join(f"{100 * fraction:.1f} %" for fraction in row)))
    _harness.save("detection_accuracy", faces=len(samples), rows=rows)


def load_samples(count):
    """Return [(image, {net: class})] of the faces that are in both test lists."""
    lists = {}
    for net, task in NETS.items():
        lines = (ROOT / "data" / "DEF" / (task + "_test.txt")).read_text().splitlines()
        lists[net] = dict(line.rsplit(" ", 1) for line in lines)
    paths = sorted(set.intersection(*(set(entries) for entries in lists.values())))
    np.random.default_rng(0).shuffle(paths)
    return [(cv2.imread(str(ROOT / path)), {net: int(lists[net][path]) for net in NETS}) for path in paths[:count]]


def evaluate(predictors, samples, crop):
    """Return the accuracy of each net and the fraction of undetected faces, which count as wrong.

    Both nets have the same Transform.
    """
    correct, missed = dict.fromkeys(predictors, 0), 0
    transform = next(iter(predictors.values())).transform
    for chip, truth in samples:
        face = crop(chip, transform)
        if face is None:
            missed += 1
            continue
        blob = transform.image(face)[None]
        for name, predictor in predictors.items():
            correct[name] += int(predictor.runner.run(blob)[0].argmax()) == truth[name]
    return [*(count / len(samples) for count in correct.values()), missed / len(samples)]


def detect_again(chip, transform, side, angle, align):
    """Paste a face chip into an image and return the detected and cropped face, or None."""
    rng = np.random.default_rng(7)
    image = _montage.background(rng)[:600, :700]
    _montage.paste(image, chip, np.array([350.0, 300.0]), side, rng, angle=angle)
    faces = DETECTOR.find(image)
    if not faces:
        return None
    if not align:
        return face_crop.cut(image, face_crop.squared(faces[0].box), face_settings.margin(transform))
    return face_crop.aligned(
        image, faces[0].landmarks, face_settings.landmarks(transform), face_settings.margin(transform)
    )


if __name__ == "__main__":
    sys.exit(main())
