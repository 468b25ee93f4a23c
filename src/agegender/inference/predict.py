"""Predict age and gender of faces in images, through any runner.

Device side: Python 3.7, numpy, OpenCV.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from agegender.errors import AgeGenderError
from agegender.inference import net_predictor
from agegender.inference.faces import face_crop, face_settings
from agegender.inference.image_files import read_image
from agegender.inference.net_predictor import NetPredictor
from agegender.inference.results import ImageResult, Prediction


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
        net_predictor.close_runners(self.nets)

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
                computed[id(net.runner)] = net.run(net_predictor.stack([blobs[index] for _, blobs in faces]))
                seconds = (time.perf_counter() - began) / len(faces)
                for prediction, _ in faces:
                    prediction.seconds[self._title(net)] = seconds
            members.setdefault(net.output_name, []).append((net, net.select(computed[id(net.runner)])))
        for name, nets in members.items():
            for (prediction, _), row in zip(faces, net_predictor.mean_probabilities(nets)):
                prediction.answers[name] = net_predictor.widest(nets).output(row)

    def _title(self, net: NetPredictor) -> str:
        """Return the names of all outputs that the inference of `net` computes."""
        return " and ".join(other.name for other in self.nets if other.runner is net.runner)
