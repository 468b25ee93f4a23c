"""Predictions of a net for labelled images: the one loop behind every evaluation.

An evaluation is a model, a callable from a batch (N, C, H, W) to {name: (N, classes) probabilities}, and an iterable of
batches (blob, keys, labels). Batches come from a database, from image files, or, for ten-crop testing, from both
corners and centre of each record.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from agegender.errors import AgeGenderError

if TYPE_CHECKING:
    from agegender.datasets.sample import Sample
    from caffe.device.transform import Transform

Batch = tuple[np.ndarray, list, list]
Model = Callable[[np.ndarray], dict[str, np.ndarray]]
VIEWS = 10  # of ten-crop testing


@dataclasses.dataclass
class Predictions:
    """Probabilities of one output for N images.

    Attributes
    ----------
    keys : list of bytes or str
        Names of the images.
    truth : ndarray of int, (N,)
        True classes.
    probabilities : ndarray, (N, classes)
    """

    keys: list
    truth: np.ndarray
    probabilities: np.ndarray

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class of each image, (N,)."""
        return self.probabilities.argmax(1)


def predict_batches(
    model: Model, batches: Iterable[Batch], on_batch: Callable[..., object] | None = None
) -> dict[str, Predictions]:
    """Run a model on labelled batches.

    Parameters
    ----------
    model : callable
        (N, C, H, W) -> {name: (N, classes)}.
    batches : iterable of (blob, keys, labels)
        There are as many keys and labels as images; a blob may hold several views per image.
    on_batch : callable, optional
        Called with (keys, labels, {name: probabilities}) after each batch.

    Returns
    -------
    dict of str to Predictions
        Empty if there is no batch.
    """
    keys: list = []
    truth: list = []
    rows: dict[str, list[np.ndarray]] = {}
    for blob, names, labels in batches:
        outputs = {name: np.asarray(values).reshape(len(names), -1) for name, values in model(blob).items()}
        keys += names
        truth += labels
        for name, values in outputs.items():
            rows.setdefault(name, []).append(values)
        if on_batch is not None:
            on_batch(names, labels, outputs)
    return {name: Predictions(keys, np.array(truth, np.int64), np.concatenate(parts)) for name, parts in rows.items()}


def database_batches(source: str, transform: Transform, backend: str = "lmdb", size: int = 50) -> Iterator[Batch]:
    """Yield (blob, keys, labels) of every record of a database, transformed."""
    from caffe.data.db import open_db
    from ncs.precision.lmdb_batches import blobs

    with open_db(source, backend) as database:
        for keys, blob, labels in blobs(database, transform, size):
            yield blob, keys, labels


def ten_crop_batches(source: str, transform: Transform, size: int = 5) -> Iterator[Batch]:
    """Yield (blob of 10 N views, keys, labels) of every record of an LMDB of images larger than the crop.

    The views are pycaffe's: four corners and centre, then the same mirrored. The fifth is the centre crop.

    Raises
    ------
    AgeGenderError
        If an image is not larger than the crop.
    """
    from caffe.data import datum
    from caffe.data.db import open_db

    with open_db(source) as database:
        records = iter(database)
        while part := list(itertools.islice(records, size)):
            decoded = [datum.decode(value) for _, value in part]
            views = [_ten_crops(planes, transform, source) for planes, _ in decoded]
            yield np.concatenate(views), [key for key, _ in part], [label for _, label in decoded]


def _ten_crops(planes: np.ndarray, transform: Transform, source: str) -> np.ndarray:
    if transform.crop is None or min(planes.shape[1:]) <= transform.crop:
        height, width = planes.shape[1:]
        raise AgeGenderError(
            f"{source}: expected images larger than the crop ({transform.crop}), received {height}x{width}"
        )
    return transform.oversample(np.ascontiguousarray(planes.transpose(1, 2, 0)))


def image_batches(
    samples: Sequence[Sample], transform: Transform, margin: float, size: int = 16
) -> Iterator[tuple[np.ndarray, list, list]]:
    """Yield (blob, paths, samples) of aligned face images, widened by `margin` of their size on each side."""
    from agegender.inference import image_files, predict

    for first in range(0, len(samples), size):
        part = list(samples[first : first + size])
        images = [predict.with_margin(image_files.read_image(sample.path), margin) for sample in part]
        yield transform.batch(images), [sample.path for sample in part], [0] * len(part)


def length(source: str, backend: str = "lmdb") -> int:
    """Return the number of records of a database."""
    from caffe.data.db import open_db

    with open_db(source, backend) as database:
        return len(database)


def net_predictor(net: Any, outputs: Sequence[str] = ()) -> Callable[[np.ndarray], Any]:
    """Return a function from a batch to the net's first output, or to {name: output} for given `outputs`."""
    source, first = net.inputs[0], net.outputs[0]

    def predict(blob: np.ndarray) -> Any:
        net.blobs[source].reshape(*blob.shape)
        net.blobs[source].data[...] = blob
        net.forward_range(0, len(net.layers) - 1, record=False)
        if outputs:
            return {name: net.blobs[name].data.copy() for name in outputs}
        return net.blobs[first].data.copy()

    return predict
