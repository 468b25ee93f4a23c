"""Mean image of a database, bit-identical to Caffe's compute_image_mean."""

from __future__ import annotations

import cv2
import numpy as np

from caffe.core import glog, malloc
from caffe.data import datum
from caffe.data.db import DB
from caffe.errors import CaffeError
from caffe.utils.cli.progress import Progress

_LOG_INTERVAL = 10000


def image_mean(db: DB) -> np.ndarray:
    """Return the mean image, float32 (C, H, W), summed in float32 in record order as Caffe does.

    Sums of bytes are exact up to 65,793 images; beyond that, the rounding order is the same as Caffe's.
    """
    malloc.retain_freed_memory()
    total: np.ndarray | None = None
    glog.info("Starting iteration", "compute_image_mean.cpp:70")
    with Progress("compute_image_mean", len(db), "images") as progress:
        for count, (key, value) in enumerate(db, 1):
            planes = _planes(db, key, value)
            if total is None:
                total = np.zeros(planes.shape, np.float32)
            if planes.shape != total.shape:
                name = key.decode("utf-8", "replace")
                raise CaffeError(
                    f"database '{db.source}', record '{name}': an image of {planes.shape}, the first has {total.shape}"
                    "; the mean needs images of the same size"
                )
            cv2.accumulate(planes.reshape(1, -1), total.reshape(1, -1))
            progress.step()
            if count % _LOG_INTERVAL == 0 or count == len(db):
                progress.clear()
                glog.info(f"Processed {count} files.", "compute_image_mean.cpp:95")
    assert total is not None  # open_db rejects a database without records
    return total / np.float32(len(db))


def channel_means(mean: np.ndarray) -> list[np.float32]:
    """Return the mean of each channel, summed pixel by pixel in float32 as Caffe does."""
    pixels = mean.reshape(len(mean), -1)
    return [np.cumsum(plane, dtype=np.float32)[-1] / np.float32(plane.size) for plane in pixels]


def _planes(db: DB, key: bytes, value: bytes) -> np.ndarray:
    try:
        return datum.decode(value)[0]
    except CaffeError as error:
        name = key.decode("utf-8", "replace")
        raise CaffeError(f"database '{db.source}', record '{name}': {error}") from None
