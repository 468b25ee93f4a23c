"""Reads the images of a database as network inputs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from caffe.device.transform import Transform


def batches(
    source: str, transform: Transform, count: int = 0, skip: int = 0, size: int = 16
) -> Iterator[tuple[np.ndarray, list[str], list[int]]]:
    """Yield (blob (N, C, H, W), keys, labels) of `count` records (0: all) of an LMDB after the first `skip`."""
    from caffe.data.db import open_db

    with open_db(source, "LMDB") as database:
        for keys, blob, labels in blobs(
            itertools.islice(database, skip, skip + count if count else None), transform, size
        ):
            yield blob, [bytes(key).decode("utf-8", "replace") for key in keys], labels


def blobs(
    records: Iterable[tuple[bytes, bytes]], transform: Transform, size: int
) -> Iterator[tuple[list[bytes], np.ndarray, list[int]]]:
    """Yield (keys, blob (N, C, H, W), labels) of (key, Datum) records in order; the last batch may be smaller."""
    from caffe.data import datum

    records = iter(records)
    while batch := list(itertools.islice(records, size)):
        arrays, labels = zip(*(datum.decode(value) for _, value in batch))
        yield [key for key, _ in batch], transform.planes(list(arrays)), list(labels)
