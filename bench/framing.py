"""How framing changes accuracy: faces pasted into other pictures, turned, scaled and cropped, by condition.

python bench/framing.py --faces data/UTKFace_All --list models/compact-dlib/seed230/faces.json --model compact-dlib
Each condition is predicted as it is (what the framing check warns about is counted) and with --detect.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile

import cv2
import numpy as np

from agegender.datasets import utkface
from agegender.evaluate import collection
from agegender.inference import image_files, predict
from agegender.inference.faces import detect, framing
from agegender.inference.open_nets import open_nets
from agegender.zoo.compile import ensure_compiled
from caffe.utils import atomic_io

SIDE = 200
# name: (margin, degrees, shift as a fraction of the side, side in pixels); margins of 0 and more show more than the face
CONDITIONS = {
    "aligned": (0.0, 0.0, 0.0, 200),
    "margin 0.1": (0.1, 0.0, 0.0, 200),
    "margin 0.25": (0.25, 0.0, 0.0, 200),
    "margin 0.5": (0.5, 0.0, 0.0, 200),
    "margin 1": (1.0, 0.0, 0.0, 200),
    "tight, 10 % cut off each side": (-0.1, 0.0, 0.0, 200),
    "tight, 20 % cut off each side": (-0.2, 0.0, 0.0, 200),
    "another detector's box": (0.1, 5.0, 0.08, 160),
    "rotated by up to 15 degrees": (0.2, 15.0, 0.05, 200),
    "rotated by up to 30 degrees": (0.2, 30.0, 0.05, 200),
    "32 pixels": (0.0, 0.0, 0.0, 32),
    "64 pixels": (0.0, 0.0, 0.0, 64),
    "512 pixels, margin 1": (1.0, 10.0, 0.1, 512),
}


def framed(face: np.ndarray, background: np.ndarray, condition: tuple, rng: np.random.Generator) -> np.ndarray:
    """Paste an aligned face into a picture and cut it out as the condition says."""
    margin, degrees, shift, side = condition
    scale = side / (1 + 2 * margin) / face.shape[1]
    center = ((face.shape[1] - 1) / 2, (face.shape[0] - 1) / 2)
    matrix = cv2.getRotationMatrix2D(center, rng.uniform(-degrees, degrees), scale)
    matrix[:, 2] += (side - 1) / 2 - np.array(center) + rng.uniform(-shift, shift, 2) * side / (1 + 2 * margin)
    if scale < 0.5:  # large faces are averaged, not subsampled
        face = cv2.GaussianBlur(face, (0, 0), 0.4 / scale)
    behind = cv2.GaussianBlur(cv2.resize(background, (side, side)), (0, 0), side / 40)
    mask = cv2.warpAffine(np.ones(face.shape[:2], np.float32), matrix, (side, side))[..., None]
    front = cv2.warpAffine(face, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    return np.uint8(mask * front + (1 - mask) * behind)


def evaluate(nets, samples, folder, find, check):
    """Metrics of the images in `folder`, and which ones are warned about."""
    from agegender.datasets.sample import Sample

    moved = [Sample(os.path.join(folder, f"{number}.png"), s.age, s.gender, s.race) for number, s in enumerate(samples)]
    predictor = predict.FacePredictor(nets, find, batch=4 if find else 16, check=None)
    if check:
        transform = nets[0].transform
        moved = [sample for sample in moved if not check(image_files.read_image(sample.path), transform)]
    result = collection.evaluate(predictor, moved) if moved else {"without_face": 0}
    return {"unwarned": len(moved), "warned": len(samples) - len(moved), **_figures(result)}


def _figures(result):
    return {
        "without_face": result["without_face"],
        "gender": result.get("gender", {}).get("accuracy"),
        "age": result.get("age", {}).get("accuracy"),
        "one_off": result.get("age", {}).get("one_off"),
        "error_years": result.get("age", {}).get("error_years"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--faces", required=True, help="directory of aligned faces named as UTKFace names them")
    parser.add_argument("--list", required=True, help="faces.json of a run: its held-out faces are used")
    parser.add_argument("--model", default="compact-dlib")
    parser.add_argument("--model-dir", default="graph")
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--out", help="write the figures as JSON")
    args = parser.parse_args()
    with open(args.list, encoding="utf-8") as stream:
        names = json.load(stream)["test_lmdb"]
    rng = np.random.default_rng(1)
    names = [names[index] for index in sorted(rng.permutation(len(names))[: args.count])]
    samples = [utkface.parse_name(os.path.join(args.faces, name)) for name in names]
    nets = open_nets(ensure_compiled([args.model], args.model_dir), args.model_dir, "CPU")
    check, find = framing.FramingCheck(detect.Detector().find), detect.Detector().find
    rows = {}
    for name, condition in CONDITIONS.items():
        with tempfile.TemporaryDirectory() as folder:
            for number, sample in enumerate(samples):
                other = image_files.read_image(samples[(number + 7) % len(samples)].path)
                image = framed(image_files.read_image(sample.path), other, condition, rng)
                cv2.imwrite(os.path.join(folder, f"{number}.png"), image)
            rows[name] = {
                "all": evaluate(nets, samples, folder, None, None),
                "unwarned": evaluate(nets, samples, folder, None, check),
                "detected": evaluate(nets, samples, folder, find, None),
            }
        print(name, json.dumps(rows[name]), flush=True)
    if args.out:
        atomic_io.write_bytes(args.out, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
