"""The mean picture of a database, bit for bit as compute_image_mean computes it."""

from __future__ import annotations

import cv2
import numpy as np

from caffe.core import glog, malloc
from caffe.data import datum
from caffe.data.db import DB
from caffe.errors import CaffeError
from caffe.utils.progress import Progress

_LOG_EACH = 10000


def image_mean(db: DB) -> np.ndarray:
    """float32 (C, H, W): the sum of all records in their order, kept in float32 as Caffe does, by count.

    Integers stay exact there up to 65,793 pictures; beyond, the order of the roundings is Caffe's too.
    """
    malloc.retain_freed_memory()
    total: np.ndarray | None = None
    glog.info("Starting iteration", "compute_image_mean.cpp:70")
    with Progress("compute_image_mean", len(db), "pictures") as bar:
        for count, (key, value) in enumerate(db, 1):
            planes = _planes(db, key, value)
            if total is None:
                total = np.zeros(planes.shape, np.float32)
            if planes.shape != total.shape:
                raise CaffeError(
                    "database '{}', record '{}': a picture of {}, the first is {}; a mean needs one size".format(
                        db.source, key.decode("utf-8", "replace"), planes.shape, total.shape
                    )
                )
            cv2.accumulate(planes.reshape(1, -1), total.reshape(1, -1))
            bar.step()
            if count % _LOG_EACH == 0 or count == len(db):
                bar.clear()
                glog.info("Processed %d files." % count, "compute_image_mean.cpp:95")
    assert total is not None  # open_db refuses a database without records
    return total / np.float32(len(db))


def channel_means(mean: np.ndarray) -> list[np.float32]:
    """The mean of each channel, summed one pixel after the other in float32, as Caffe prints it."""
    pixels = mean.reshape(len(mean), -1)
    return [np.cumsum(plane, dtype=np.float32)[-1] / np.float32(plane.size) for plane in pixels]


def _planes(db: DB, key: bytes, value: bytes) -> np.ndarray:
    try:
        return datum.decode(value)[0]
    except CaffeError as error:
        name = key.decode("utf-8", "replace")
        raise CaffeError(f"database '{db.source}', record '{name}': {error}") from None
