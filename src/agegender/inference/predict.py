"""From pictures to answers: age and gender of faces, through any runner. It ships to the board (Python 3.7, numpy, OpenCV)."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from agegender.errors import AgeGenderError
from agegender.inference import face_crop, labels
from caffe.device.image_file import ImageError, read_image

WRONG_OPTIONS, NO_FILE, NO_PICTURE, NO_FACE, NO_MODEL, NO_DEVICE = 2, 3, 4, 5, 6, 7  # exit statuses
LEAST_SIDE = 16  # pixels; of anything smaller no net can tell a face
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


@dataclass
class NetOutput:
    """What one net says of one picture."""

    net: str
    text: str
    probability: float
    probabilities: list
    task: str = ""  # age or gender, where that is known
    years: float | None = None  # of nets that tell single years


@dataclass
class Prediction:
    """What all nets say of one face: answers by net (or by question, of nets `together`), seconds by stage; `face` is where a
    photograph shows it."""

    path: str
    answers: dict = field(default_factory=dict)
    seconds: dict = field(default_factory=dict)
    face: object = None


def read_image(path):
    """uint8 (H, W, 3), blue first. AgeGenderError with an exit status of its own for each thing that can be wrong."""
    if not os.path.isfile(path):
        raise failure(NO_FILE, f"{path}: there is no such file")
    try:
        picture = read_image(path)
    except ImageError as error:
        raise failure(NO_PICTURE, str(error)) from None
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


class NetPredictor:
    """One net ready to answer: its manifest's Transform and labels, and a runner.

    With `mirror` it is asked about the mirror image as well, and the mean is its answer.
    """

    def __init__(self, manifest, runner, mirror=False):
        self.name = self.answers_as = manifest.name
        self.transform = manifest.transform
        self.labels = _labels(manifest)
        self.task = _task(manifest)
        self.runner, self.mirror = runner, mirror

    def probabilities(self, blobs):
        """A row for each of `blobs` (N, C, H, W)."""
        rows = self.runner.run(blobs)
        if self.mirror:
            rows = (rows + self.runner.run(np.ascontiguousarray(blobs[..., ::-1]))) / 2
        return rows

    def answer(self, probabilities):
        """An Answer from one row of the net's output."""
        decoded = self.labels.decode(probabilities)
        every = [float(p) for p in np.ravel(probabilities)]
        return NetOutput(self.answers_as, decoded.text, decoded.probability, every, self.task, decoded.years)


def together(heads):
    """Let nets of one question answer as one, under its name: the mean of their probabilities (an ensemble).

    A net whose question is not known answers alone. Raises AgeGenderError where they tell it in different classes.
    """
    first = {}
    for head in (head for head in heads if head.task):
        other = first.setdefault(head.task, head)
        if set(head.labels.names) != set(other.labels.names):
            raise failure(
                WRONG_OPTIONS,
                f"{head.name} tells {head.task} in other classes than {other.name}; they cannot answer together",
            )
        head.answers_as = head.task


def as_original(transform):
    """AgeGenderPrediction's inference: channels turned to RGB, the mean of each channel of the BGR mean subtracted as it lies."""
    mean = transform.mean
    if mean is not None and mean.ndim == 3:
        mean = mean.mean(axis=(1, 2))
    return transform.replace(order="RGB", mean=mean)


def _task(manifest):
    """What a net is asked, by its labels or else by its name."""
    if set(manifest.labels) == set(labels.MALE_FIRST.names):
        return "gender"
    return "age" if manifest.label_set.startswith("age") or "age" in manifest.name.lower() else ""


def _labels(manifest):
    if manifest.label_set in labels.ALL and list(labels.ALL[manifest.label_set].names) == list(manifest.labels):
        return labels.ALL[manifest.label_set]
    return labels.Labels(manifest.label_set or manifest.name, tuple(manifest.labels), decoder=manifest.decoder)


def predict_pictures(paths, heads, batch=16):
    """Yield a Prediction for each path, in order: pictures are read and transformed while the nets work on others.

    A picture that cannot be read raises when its turn comes, after the predictions before it.
    """
    for told in _predict_batches(paths, heads, batch, _whole):
        yield from told


def predict_photographs(paths, heads, find, crop="aligned", batch=4):
    """Yield, for each path, a list of Predictions, one for each face that `find(picture)` gives, in its order.

    `find` is the method of an `agegender.inference.detect.Detector`; `crop` is one of CROPS. `batch` photographs are worked at together.
    """

    def pieces(picture, seconds):
        began = time.perf_counter()
        found = find(picture)
        seconds["detect"] = time.perf_counter() - began
        return [(face, partial(CROPS[crop], picture, face)) for face in found]

    return _predict_batches(paths, heads, batch, pieces)


def _aligned(picture, face, transform):
    return face_crop.aligned(picture, face.landmarks, transform.landmarks, transform.margin)


def _boxed(picture, face, transform):
    return face_crop.cut(picture, face_crop.squared(face.box), transform.margin)


# How a face is cut out of a photograph: (picture, Face, Transform) -> chip. "box" is what the ONNX zoo's scripts do.
CROPS = {"aligned": _aligned, "box": _boxed}


def _whole(picture, seconds):
    """The one piece of a picture that is an aligned face."""
    return [(None, lambda transform: with_margin(picture, transform.margin))]


def with_margin(picture, margin):
    """An aligned face with its border repeated as far as the net's training showed more than the face."""
    return face_crop.cut(picture, face_crop.whole(picture), margin) if margin else picture


def _predict_batches(paths, heads, batch, pieces):
    """Yield a list of Predictions for each path; `pieces(picture, seconds)` gives (face, transform -> chip) of each."""
    threads = max(1, min(4, os.cpu_count() or 1))
    with ThreadPoolExecutor(threads) as pool:
        waiting, paths = [], list(paths)
        for at in range(0, len(paths), batch):
            waiting.append([pool.submit(_prepare, path, heads, pieces) for path in paths[at : at + batch]])
            if len(waiting) == 2:
                yield from _run(waiting.pop(0), heads)
        for group in waiting:
            yield from _run(group, heads)


def _prepare(path, heads, pieces):
    """[(Prediction without answers, a blob for each head)] of a picture."""
    began = time.perf_counter()
    picture = read_image(path)
    seconds = {"read": time.perf_counter() - began}
    found = pieces(picture, seconds)
    began = time.perf_counter()
    ready = [(Prediction(path, {}, dict(seconds), face), _blobs(chip, heads)) for face, chip in found]
    for prediction, _ in ready:
        prediction.seconds["transform"] = (time.perf_counter() - began) / len(ready)
    return ready


def _blobs(chip, heads):
    """What each head is fed; nets that share a Transform share its work."""
    blobs, made = [], []
    for head in heads:
        blob = next((blob for transform, blob in made if transform == head.transform), None)
        if blob is None:
            blob = head.transform.image(chip(head.transform))
            made.append((head.transform, blob))
        blobs.append(blob)
    return blobs


def _run(group, heads):
    """Yield the Predictions of each picture of a group, answered; then raise what stopped one."""
    pictures, error = [], None
    for future in group:
        try:
            pictures.append(future.result())
        except AgeGenderError as fault:
            error = fault
            break
    ready = [each for picture in pictures for each in picture]
    answer(heads, ready)
    for picture in pictures:
        yield [prediction for prediction, _ in picture]
    if error is not None:
        raise error


def answer(heads, ready):
    """Put every head's Answer, and the seconds it took, into Predictions: `ready` is [(Prediction, a blob for each head)]."""
    said = {}
    for i, head in enumerate(heads if ready else ()):
        began = time.perf_counter()
        rows = head.probabilities(np.stack([blobs[i] for _, blobs in ready]))
        spent = (time.perf_counter() - began) / len(ready)
        for prediction, _ in ready:
            prediction.seconds[head.name] = spent
        said.setdefault(head.answers_as, []).append((head, rows))
    for name, members in said.items():
        first = members[0][0]
        for (prediction, _), row in zip(ready, _mean(first, members)):
            prediction.answers[name] = first.answer(row)


def _mean(first, members):
    """The mean of what [(Head, rows)] say, in the order of the first one's classes."""
    if len(members) == 1:
        return members[0][1]
    names = first.labels.names
    return np.mean(
        [np.reshape(rows, (len(rows), -1))[:, head.labels.indices_of(names)] for head, rows in members], axis=0
    )


def predict_faces(picture, heads, found, crop="aligned"):
    """Predictions for the faces `found` in a picture that is in memory, in their order."""
    ready = [(Prediction("", face=face), _blobs(partial(CROPS[crop], picture, face), heads)) for face in found]
    answer(heads, ready)
    return [prediction for prediction, _ in ready]


def find_images(arguments):
    """Paths of pictures named by files, folders (all pictures below, sorted) and globs; nothing found is an error."""
    import glob

    found = []
    for argument in arguments:
        if os.path.isdir(argument):
            inside = [
                os.path.join(folder, name)
                for folder, _, names in os.walk(argument)
                for name in names
                if name.lower().endswith(IMAGE_SUFFIXES)
            ]
            if not inside:
                raise failure(
                    NO_FILE, "{}: the folder holds no picture ({})".format(argument, " ".join(IMAGE_SUFFIXES))
                )
            found += sorted(inside)
        elif glob.has_magic(argument) and not os.path.exists(argument):
            matches = sorted(glob.glob(argument, recursive=True))
            if not matches:
                raise failure(NO_FILE, f"{argument}: nothing matches")
            found += matches
        else:
            found.append(argument)
    return found


def short_names(paths):
    """A name each for files of these paths below one folder: their own, with their folders where two are equal."""
    names = [os.path.basename(path) for path in paths]
    if len(set(names)) == len(set(paths)):
        return names
    absolute = [os.path.abspath(path) for path in paths]
    return [os.path.relpath(path, os.path.commonpath(absolute)) for path in absolute]
