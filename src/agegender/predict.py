"""From pictures to answers: age and gender of faces, through any runner. It ships to the board (Python 3.7, numpy, OpenCV)."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2
import numpy as np

from agegender import faces, labels
from agegender.errors import AgeGenderError

NO_FILE, NO_PICTURE, NO_FACE, NO_MODEL, NO_DEVICE = 3, 4, 5, 6, 7  # exit statuses; 2 is a wrong command line
LEAST_SIDE = 16  # pixels; of anything smaller no net can tell a face
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


@dataclass
class Answer:
    """What one net says of one picture."""

    net: str
    text: str
    probability: float
    probabilities: list


@dataclass
class Prediction:
    """What all nets say of one picture: answers by net name, seconds by stage."""

    path: str
    answers: dict = field(default_factory=dict)
    seconds: dict = field(default_factory=dict)


def read_picture(path):
    """uint8 (H, W, 3), blue first. AgeGenderError with an exit status of its own for each thing that can be wrong."""
    if not os.path.isfile(path):
        raise failure(NO_FILE, "%s: there is no such file" % path)
    picture = cv2.imread(path, cv2.IMREAD_COLOR)
    if picture is None:
        raise failure(
            NO_PICTURE, "%s: this is not a picture OpenCV can read (JPEG, PNG, BMP, WebP, TIFF ...)" % path
        )
    height, width = picture.shape[:2]
    if min(height, width) < LEAST_SIDE:
        raise failure(
            NO_FACE,
            "%s: %dx%d pixels hold no face; give a picture of at least %d pixels a side"
            % (path, width, height, LEAST_SIDE),
        )
    return picture


def failure(status, text):
    """An AgeGenderError with its own exit status."""
    error = AgeGenderError(text)
    error.exit_status = status
    return error


class Head:
    """One net ready to answer: its manifest's Transform and labels, and a runner."""

    def __init__(self, manifest, runner):
        self.name = manifest.name
        self.transform = manifest.transform
        self.labels = _labels(manifest)
        self.runner = runner

    def answer(self, probabilities):
        """An Answer from one row of the net's output."""
        decoded = self.labels.decode(probabilities)
        return Answer(
            self.name, decoded.text, decoded.probability, [float(p) for p in np.ravel(probabilities)]
        )


def as_original(transform):
    """AgeGenderPrediction's inference: channels turned to RGB, the mean of each channel of the BGR mean subtracted as it lies."""
    mean = transform.mean
    if mean is not None and mean.ndim == 3:
        mean = mean.mean(axis=(1, 2))
    return transform.replace(order="RGB", mean=mean)


def _labels(manifest):
    if manifest.label_set in labels.ALL and list(labels.ALL[manifest.label_set].names) == list(
        manifest.labels
    ):
        return labels.ALL[manifest.label_set]
    return labels.Labels(
        manifest.label_set or manifest.name, tuple(manifest.labels), decoder=manifest.decoder
    )


def predict_pictures(paths, heads, batch=16):
    """Yield a Prediction for each path, in order: pictures are read and transformed while the nets work on others.

    A picture that cannot be read raises when its turn comes, after the predictions before it.
    """
    threads = max(1, min(4, os.cpu_count() or 1))
    with ThreadPoolExecutor(threads) as pool:
        waiting, paths = [], list(paths)
        for at in range(0, len(paths), batch):
            waiting.append([pool.submit(_prepare, path, heads) for path in paths[at : at + batch]])
            if len(waiting) == 2:
                for prediction in _run(waiting.pop(0), heads):
                    yield prediction
        for group in waiting:
            for prediction in _run(group, heads):
                yield prediction


def _prepare(path, heads):
    began = time.perf_counter()
    picture = read_picture(path)
    read = time.perf_counter()
    blobs, made = [], {}
    for head in heads:  # nets that share a Transform share its work
        key = next((k for k, (transform, _) in made.items() if transform == head.transform), len(made))
        if key not in made:
            made[key] = (head.transform, head.transform.image(with_margin(picture, head.transform.margin)))
        blobs.append(made[key][1])
    return Prediction(path, {}, {"read": read - began, "transform": time.perf_counter() - read}), blobs


def with_margin(picture, margin):
    """An aligned face with its border repeated as far as the net's training showed more than the face."""
    return faces.cut(picture, faces.whole(picture), margin) if margin else picture


def _run(group, heads):
    ready, error = [], None
    for future in group:
        try:
            ready.append(future.result())
        except AgeGenderError as fault:
            error = fault
            break
    if ready:
        for i, head in enumerate(heads):
            began = time.perf_counter()
            rows = head.runner.run(np.stack([blobs[i] for _, blobs in ready]))
            spent = (time.perf_counter() - began) / len(ready)
            for (prediction, _), row in zip(ready, rows):
                prediction.seconds[head.name] = spent
                prediction.answers[head.name] = head.answer(row)
    for prediction, _ in ready:
        yield prediction
    if error is not None:
        raise error


def find_pictures(arguments):
    """Paths of pictures named by files, folders (all pictures below, sorted) and globs; nothing found is an error."""
    import glob

    found = []
    for argument in arguments:
        if os.path.isdir(argument):
            inside = [
                os.path.join(folder, name)
                for folder, _, names in os.walk(argument)
                for name in names
                if name.lower().endswith(PICTURES)
            ]
            if not inside:
                raise failure(
                    NO_FILE, "%s: the folder holds no picture (%s)" % (argument, " ".join(PICTURES))
                )
            found += sorted(inside)
        elif glob.has_magic(argument) and not os.path.exists(argument):
            matches = sorted(glob.glob(argument, recursive=True))
            if not matches:
                raise failure(NO_FILE, "%s: nothing matches" % argument)
            found += matches
        else:
            found.append(argument)
    return found
