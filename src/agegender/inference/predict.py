"""Predict age and gender of faces in images, through any runner.

Device side: Python 3.7, numpy, OpenCV.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from agegender.errors import AgeGenderError
from agegender.inference import calibration, labels
from agegender.inference.faces import face_crop, face_settings
from caffe.device import image_file

WRONG_OPTIONS, NO_FILE, NO_IMAGE, NO_FACE, NO_MODEL, NO_DEVICE = 2, 3, 4, 5, 6, 7  # exit statuses
UNSURE = "unsure"
MIN_SIDE = 16  # pixels; a smaller image cannot show a face
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


@dataclass
class NetOutput:
    """What one net predicts for one face.

    `task` is "age" or "gender" if known; `years` the expected age if the net predicts single years; `interval` half the
    width in years of an age given with an interval. `confident` is False below the minimum confidence.
    """

    net: str
    text: str
    probability: float
    probabilities: list[float]
    task: str = ""
    years: float | None = None
    interval: float | None = None
    confident: bool = True


@dataclass(frozen=True)
class Style:
    """How predictions are given.

    Attributes
    ----------
    min_confidence : float
        A label with a lower probability is given as UNSURE.
    age_interval : bool
        Give the age of nets of single years as `34 ± 7 years`, the interval that holds 68 % of the probability.
    """

    min_confidence: float = 0.0
    age_interval: bool = False


@dataclass
class Prediction:
    """What all nets predict for one face.

    Attributes
    ----------
    path : str
        The image file, or "".
    answers : dict of str to NetOutput
        By net, or by task for an ensemble.
    seconds : dict of str to float
        By processing step.
    face : agegender.inference.faces.detect.Face or None
        Where the image shows the face; None if the image is the face.
    """

    path: str
    answers: dict[str, NetOutput] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    face: Any = None


@dataclass
class ImageResult:
    """The predictions for one image: the decoded image (uint8 BGR), one Prediction per face, and warnings."""

    path: str
    image: np.ndarray
    predictions: list[Prediction]
    warnings: list[str] = field(default_factory=list)


def failure(status: int, text: str) -> AgeGenderError:
    """Return an AgeGenderError with its own exit status."""
    error = AgeGenderError(text)
    error.exit_status = status
    return error


def refuse_input(output: str, paths: Sequence[str]) -> None:
    """Raise an error if the file `output` is one of the input files `paths`, which writing it would replace."""
    if os.path.isfile(output) and any(os.path.samefile(output, path) for path in paths if os.path.exists(path)):
        raise failure(WRONG_OPTIONS, f"{output}: this would replace an input file; choose another name")


def read_image(path: str) -> np.ndarray:
    """Read an image file.

    Returns
    -------
    ndarray of uint8, (H, W, 3)
        BGR.

    Raises
    ------
    AgeGenderError
        With exit status NO_FILE, NO_IMAGE (not an image) or NO_FACE (too small to show a face).
    """
    if not os.path.isfile(path):
        raise failure(NO_FILE, f"{path}: no such file")
    try:
        image = image_file.read_image(path)
    except image_file.ImageError as error:
        raise failure(NO_IMAGE, str(error)) from None
    return check_size(path, image)


def check_size(path: str, image: np.ndarray) -> np.ndarray:
    """Return `image`, or raise AgeGenderError with exit status NO_FACE if it is too small to show a face."""
    height, width = image.shape[:2]
    if min(height, width) < MIN_SIDE:
        raise failure(
            NO_FACE, f"{path}: expected at least {MIN_SIDE} pixels per side to show a face, received {width}x{height}"
        )
    return image


class NetPredictor:
    """One output of a net, ready to predict: a manifest's Transform and labels, and a runner.

    The outputs of one net share a runner, and one inference computes all of them; `open_heads` returns them.

    Parameters
    ----------
    manifest : ncs.runtime.manifest.Manifest
    runner : ncs.runtime.base.Runner
    flip : bool
        Predict the mean over the image and its mirror image.
    head : ncs.runtime.manifest.Head, optional
        Which output; default: the first.
    style : Style
    """

    def __init__(
        self, manifest: Any, runner: Any, flip: bool = False, head: Any = None, style: Style = Style()
    ) -> None:
        head = head or manifest.all_heads()[0]
        self.name = self.output_name = head.name
        self.inputs = [(port.name, port.transform) for port in manifest.all_inputs()]
        self.transform = manifest.transform
        self.labels = _labels(head)
        self.task = _task(head)
        self.runner, self.flip = runner, flip
        self.temperature, self.style = head.temperature, style
        self._columns = manifest.columns()[head.output] if manifest.heads else slice(None)

    def probabilities(self, blobs: Any) -> np.ndarray:
        """Return the (N, classes) output for blobs (N, C, H, W), or for a dict of them by input."""
        return self.select(self.run(blobs))

    def run(self, blobs: Any) -> np.ndarray:
        """Return the values of all outputs of the net, next to each other."""
        rows = self.runner.run(blobs)
        if self.flip:
            rows = (rows + self.runner.run(_mirrored(blobs))) / 2
        return rows

    def select(self, rows: np.ndarray) -> np.ndarray:
        """Return the columns of this output from what `run` returned, at the output's temperature."""
        return calibration.scaled(rows[:, self._columns], self.temperature)

    def blob(self, chip: Callable[[Any], np.ndarray]) -> Any:
        """Return the net's input from `chip`, a function of a Transform that returns the image to transform."""
        if len(self.inputs) == 1:
            return self.transform.image(chip(self.transform))
        return {name: transform.image(chip(transform)) for name, transform in self.inputs}

    def output(self, probabilities: np.ndarray) -> NetOutput:
        """Return the NetOutput of one row of probabilities."""
        decoded = self.labels.decode(probabilities)
        values = [float(p) for p in np.ravel(probabilities)]
        out = NetOutput(self.output_name, decoded.text, decoded.probability, values, self.task, decoded.years)
        if self.style.age_interval and out.years is not None:
            out.interval = calibration.interval_years(probabilities)
            out.text, out.probability = f"{out.years:.0f} ± {out.interval:.0f} years", calibration.COVERAGE
        if decoded.probability < self.style.min_confidence:
            out.text, out.probability, out.confident = UNSURE, decoded.probability, False
        return out


def open_heads(manifest: Any, runner: Any, flip: bool = False, style: Style = Style()) -> list[NetPredictor]:
    """Return a NetPredictor for every output of a net; they share the runner."""
    return [NetPredictor(manifest, runner, flip, head, style) for head in manifest.all_heads()]


def close_runners(nets: Iterable[NetPredictor]) -> None:
    """Close the runner of every net, each once."""
    for runner in {id(net.runner): net.runner for net in nets}.values():
        runner.close()


def _mirrored(blobs: Any) -> Any:
    if isinstance(blobs, dict):
        return {name: np.ascontiguousarray(array[..., ::-1]) for name, array in blobs.items()}
    return np.ascontiguousarray(blobs[..., ::-1])


def _stack(blobs: Sequence[Any]) -> Any:
    if isinstance(blobs[0], dict):
        return {name: np.stack([blob[name] for blob in blobs]) for name in blobs[0]}
    return np.stack(blobs)


def make_ensemble(nets: Sequence[NetPredictor]) -> None:
    """Let nets of the same task predict together, under the task's name: the mean of their probabilities.

    A net of unknown task stays alone. Nets of single years may end at different years.

    Raises
    ------
    AgeGenderError
        If nets of one task have different classes.
    """
    first: dict[str, NetPredictor] = {}
    for net in nets:
        if not net.task:
            continue
        other = first.setdefault(net.task, net)
        same = set(net.labels.names) == set(other.labels.names)
        if not same and not (_single_years(net) and _single_years(other)):
            raise failure(
                WRONG_OPTIONS, f"{net.name} and {other.name} predict {net.task} in different classes: no ensemble"
            )
        net.output_name = net.task


def _single_years(net: NetPredictor) -> bool:
    return net.labels.decoder in ("expectation", "decades")


def as_original(transform: Any) -> Any:
    """Return the Transform of AgeGenderPrediction's script: RGB, minus the channel means of the BGR mean, unswapped."""
    mean = transform.mean
    if mean is not None and mean.ndim == 3:
        mean = mean.mean(axis=(1, 2))
    return transform.replace(order="RGB", mean=mean)


def _task(head: Any) -> str:
    if set(head.labels) == set(labels.MALE_FIRST.names):
        return "gender"
    return "age" if head.label_set.startswith("age") or "age" in head.name.lower() else ""


def _labels(head: Any) -> labels.Labels:
    known = labels.ALL.get(head.label_set)
    if known is not None and list(known.names) == list(head.labels):
        return known
    labels.check_decoder(head.decoder, head.name)
    return labels.Labels(head.label_set or head.name, tuple(head.labels), decoder=head.decoder)


def _crop_aligned(image: np.ndarray, face: Any, transform: Any) -> np.ndarray:
    return face_crop.aligned(image, face.landmarks, face_settings.landmarks(transform), face_settings.margin(transform))


def _crop_box(image: np.ndarray, face: Any, transform: Any) -> np.ndarray:
    return face_crop.cut(image, face_crop.squared(face.box), face_settings.margin(transform))


# How a face is cropped from a photograph: (image, Face, Transform) -> chip. "box" is what the ONNX zoo's scripts do.
CROPS = {"aligned": _crop_aligned, "box": _crop_box}


def with_margin(image: np.ndarray, margin: float) -> np.ndarray:
    """Return an aligned face with its border repeated by `margin` of its size on each side."""
    return face_crop.cut(image, face_crop.whole(image), margin) if margin else image


class FacePredictor:
    """Predict age and gender of faces: images are decoded and transformed while the nets compute.

    A context manager; leaving it closes the runners.

    Parameters
    ----------
    nets : sequence of NetPredictor
    find : callable, optional
        Returns the faces of a BGR image, such as `Detector().find`. None: every image is one aligned face.
    crop : str
        "aligned" (by landmarks) or "box".
    batch : int
        Images per batch.
    check : callable, optional
        (image, Transform) -> warning or "", for images that are taken as aligned faces.
    """

    def __init__(
        self,
        nets: Sequence[NetPredictor],
        find: Callable[[np.ndarray], Sequence[Any]] | None = None,
        crop: str = "aligned",
        batch: int = 16,
        check: Callable[[np.ndarray, Any], str] | None = None,
    ) -> None:
        self.nets, self.find, self.crop, self.batch, self.check = list(nets), find, crop, max(1, batch), check

    def __enter__(self) -> FacePredictor:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def close(self) -> None:
        """Close the runners."""
        close_runners(self.nets)

    @property
    def output_names(self) -> list[str]:
        """The names that predictions are keyed by, in order."""
        return list(dict.fromkeys(net.output_name for net in self.nets))

    def predict(self, paths: Iterable[str]) -> Iterator[ImageResult]:
        """Yield an ImageResult per image file, in order.

        Raises
        ------
        AgeGenderError
            For an unreadable image, after the results of the images before it.
        """
        threads = max(1, min(4, os.cpu_count() or 1))
        paths = list(paths)
        with ThreadPoolExecutor(threads) as pool:
            waiting: deque = deque()
            for first in range(0, len(paths), self.batch):
                waiting.append([pool.submit(self._load, path) for path in paths[first : first + self.batch]])
                if len(waiting) == 2:
                    yield from self._finish(waiting.popleft())
            while waiting:
                yield from self._finish(waiting.popleft())

    def predict_each(
        self, paths: Iterable[str], read: Callable[[str], np.ndarray] = read_image
    ) -> Iterator[tuple[str, ImageResult | AgeGenderError]]:
        """Yield every path with its ImageResult, or with the error of an unreadable image, in order.

        `read` returns the image (uint8 BGR) of a path.
        """
        threads = max(1, min(4, os.cpu_count() or 1))
        remaining = iter(paths)
        with ThreadPoolExecutor(threads) as pool:
            waiting: deque = deque()
            while True:
                batch = [path for _, path in zip(range(self.batch), remaining)]
                if batch:
                    waiting.append([(path, pool.submit(self._load_or_error, path, read)) for path in batch])
                if waiting and (len(waiting) == 2 or not batch):
                    yield from self._finish_each(waiting.popleft())
                if not batch and not waiting:
                    return

    def _load_or_error(self, path: str, read: Callable[[str], np.ndarray]) -> Any:
        try:
            return self._load(path, read)
        except AgeGenderError as error:
            return error

    def _finish_each(self, futures: Sequence[tuple[str, Future]]) -> Iterator[tuple[str, ImageResult | AgeGenderError]]:
        loaded = [(path, future.result()) for path, future in futures]
        self._run([item for _, item in loaded if not isinstance(item, AgeGenderError)])
        for path, item in loaded:
            yield path, item if isinstance(item, AgeGenderError) else item[0]

    def predict_array(self, image: np.ndarray, path: str = "") -> ImageResult:
        """Return the ImageResult of an image in memory (uint8 BGR)."""
        result, blobs = self._prepare(path, image, {})
        self._run([(result, blobs)])
        return result

    def predict_faces(self, image: np.ndarray, faces: Sequence[Any]) -> list[Prediction]:
        """Return a Prediction for each detected face of an image in memory, in their order."""
        result, blobs = self._crop_all("", image, faces, {})
        self._run([(result, blobs)])
        return result.predictions

    def _load(
        self, path: str, read: Callable[[str], np.ndarray] = read_image
    ) -> tuple[ImageResult, list[list[np.ndarray]]]:
        began = time.perf_counter()
        image = read(path)
        return self._prepare(path, image, {"read": time.perf_counter() - began})

    def _prepare(
        self, path: str, image: np.ndarray, seconds: dict[str, float]
    ) -> tuple[ImageResult, list[list[np.ndarray]]]:
        """Return a result without outputs, and the blobs of each face, one per net."""
        if self.find is None:
            result, blobs = self._crop_all(path, image, [None], seconds)
            if self.check is not None:
                warning = self.check(image, self.nets[0].transform)
                result.warnings += [warning] if warning else []
            return result, blobs
        began = time.perf_counter()
        faces = self.find(image)
        return self._crop_all(path, image, faces, dict(seconds, detect=time.perf_counter() - began))

    def _crop_all(
        self, path: str, image: np.ndarray, faces: Sequence[Any], seconds: dict[str, float]
    ) -> tuple[ImageResult, list[list[np.ndarray]]]:
        began = time.perf_counter()
        blobs = [self._blobs(image, face) for face in faces]
        seconds = dict(seconds, transform=(time.perf_counter() - began) / max(1, len(faces)))
        predictions = [Prediction(path, {}, dict(seconds), face) for face in faces]
        return ImageResult(path, image, predictions), blobs

    def _blobs(self, image: np.ndarray, face: Any) -> list[Any]:
        """Return the input of each net for one face; nets with the same Transform share it."""
        blobs: list[Any] = []
        for index, net in enumerate(self.nets):
            same = next((i for i in range(index) if self.nets[i].inputs == net.inputs), None)
            blobs.append(
                net.blob(lambda transform: self._chip(image, face, transform)) if same is None else blobs[same]
            )
        return blobs

    def _chip(self, image: np.ndarray, face: Any, transform: Any) -> np.ndarray:
        if face is None:
            return with_margin(image, face_settings.margin(transform))
        return CROPS[self.crop](image, face, transform)

    def _finish(self, futures: Sequence[Future]) -> Iterator[ImageResult]:
        """Yield the results of a batch; then raise the first error in it."""
        loaded, error = [], None
        for future in futures:
            try:
                loaded.append(future.result())
            except AgeGenderError as fault:
                error = fault
                break
        self._run(loaded)
        for result, _ in loaded:
            yield result
        if error is not None:
            raise error

    def _run(self, loaded: Sequence[tuple[ImageResult, list[list[np.ndarray]]]]) -> None:
        """Fill the outputs of every net, and the seconds it took, into the predictions."""
        faces = [
            (prediction, blobs)
            for result, all_blobs in loaded
            for prediction, blobs in zip(result.predictions, all_blobs)
        ]
        if not faces:
            return
        members: dict[str, list[tuple[NetPredictor, np.ndarray]]] = {}
        computed: dict[int, np.ndarray] = {}  # by runner: outputs of one net come from one inference
        for index, net in enumerate(self.nets):
            if id(net.runner) not in computed:
                began = time.perf_counter()
                computed[id(net.runner)] = net.run(_stack([blobs[index] for _, blobs in faces]))
                seconds = (time.perf_counter() - began) / len(faces)
                for prediction, _ in faces:
                    prediction.seconds[self._title(net)] = seconds
            members.setdefault(net.output_name, []).append((net, net.select(computed[id(net.runner)])))
        for name, nets in members.items():
            for (prediction, _), row in zip(faces, _mean(nets)):
                prediction.answers[name] = _widest(nets).output(row)

    def _title(self, net: NetPredictor) -> str:
        """Return the names of all outputs that the inference of `net` computes."""
        return " and ".join(other.name for other in self.nets if other.runner is net.runner)


def _widest(members: Sequence[tuple[NetPredictor, np.ndarray]]) -> NetPredictor:
    """Return the first of the nets with the most classes."""
    return max((net for net, _ in members), key=lambda net: len(net.labels))


def _mean(members: Sequence[tuple[NetPredictor, np.ndarray]]) -> np.ndarray:
    """Return the mean probabilities of an ensemble, in the order of the widest net's classes."""
    if len(members) == 1:
        return members[0][1]
    names = _widest(members).labels.names
    total = np.zeros((len(members[0][1]), len(names)))
    for net, row in members:
        columns = [names.index(name) for name in net.labels.names]
        total[:, columns] += np.reshape(row, (len(row), -1))
    return total / len(members)


def find_images(arguments: Iterable[str]) -> list[str]:
    """Return the image paths that files, directories (recursive, sorted) and globs stand for.

    Raises
    ------
    AgeGenderError
        If a directory holds no image, or a glob matches nothing.
    """
    paths: list[str] = []
    for argument in arguments:
        if os.path.isdir(argument):
            paths += _images_below(argument)
        elif not os.path.exists(argument) and _has_magic(argument):
            paths += _matches(argument)
        else:
            paths.append(argument)
    return paths


def _images_below(folder: str) -> list[str]:
    paths = sorted(
        os.path.join(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(IMAGE_SUFFIXES)
    )
    if not paths:
        raise failure(NO_FILE, "{}: no image in this directory ({})".format(folder, " ".join(IMAGE_SUFFIXES)))
    return paths


def _has_magic(pattern: str) -> bool:
    import glob

    return glob.has_magic(pattern)


def _matches(pattern: str) -> list[str]:
    import glob

    paths = sorted(glob.glob(pattern, recursive=True))
    if not paths:
        raise failure(NO_FILE, f"{pattern}: no file matches")
    return paths


def short_names(paths: Sequence[str]) -> list[str]:
    """Return a short name for each path: its base name, or its path below the common directory if two are equal."""
    names = [os.path.basename(path) for path in paths]
    if len(set(names)) == len(set(paths)):
        return names
    absolute = [os.path.abspath(path) for path in paths]
    return [os.path.relpath(path, os.path.commonpath(absolute)) for path in absolute]
