"""The model `faces` of `ncs serve --faces`: photographs in, boxes and the nets' predictions per face out."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from agegender.inference import net_predictor, predict
from agegender.inference.faces import detect
from caffe.device.image_file import decode_image

NAME = "faces"
BOXES, SCORES = "boxes", "scores"


class Queued:
    """A runner whose batches go through a server's queue."""

    def __init__(self, submit: Any) -> None:
        self._submit = submit

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Return the output of a batch."""
        return self._submit(np.ascontiguousarray(batch, np.float32)).result()


class Faces:
    """Detects faces in one photograph per request and runs every net on each.

    Parameters
    ----------
    nets : sequence of (Manifest, callable)
        Each with the function that queues a batch and returns its Future.
    """

    name = NAME

    def __init__(self, nets: Any) -> None:
        self._manifests = [manifest for manifest, _ in nets]
        predictors = [net_predictor.NetPredictor(manifest, Queued(submit)) for manifest, submit in nets]
        self._predictor = predict.FacePredictor(predictors, detect.Detector().find)
        self._pool = ThreadPoolExecutor(max(1, os.cpu_count() or 1), NAME)

    def outputs(self) -> list[tuple[str, str, list[int]]]:
        """Return name, datatype and shape of each output; F is the number of faces, -1."""
        nets = [(manifest.name, "FP32", [-1, len(manifest.labels)]) for manifest in self._manifests]
        return [(BOXES, "INT32", [-1, 4]), (SCORES, "FP32", [-1]), *nets]

    def submit(self, data: bytes) -> Future:
        """Start one image file; the Future's result is {output: array}, largest face first.

        Raises
        ------
        ImageError
            In the Future, if `data` is not an image.
        """
        return self._pool.submit(self._run, data)

    def _run(self, data):
        result = self._predictor.predict_array(decode_image(data, name="image 0"))
        faces = result.predictions
        arrays = {
            BOXES: np.array([prediction.face.box for prediction in faces], np.int32).reshape(-1, 4),
            SCORES: np.array([prediction.face.score for prediction in faces], np.float32),
        }
        for manifest in self._manifests:
            rows = [prediction.answers[manifest.name].probabilities for prediction in faces]
            arrays[manifest.name] = np.array(rows, np.float32).reshape(-1, len(manifest.labels))
        return arrays

    def close(self) -> None:
        """Finish what was started."""
        self._pool.shutdown()
