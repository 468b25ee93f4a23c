"""Write the index of a database: keys, labels, and groups of near-duplicates (at most 50,000 records are compared)."""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np

from agegender.datasets import near_duplicates
from agegender.workbench.server import databases
from caffe.data import datum
from caffe.errors import CaffeError
from caffe.utils.atomic_io import write_bytes
from caffe.utils.cli.progress import Progress

COMPARED = 50_000


def main(argv: list[str]) -> None:
    """Read the database `argv[0]` and write the index `argv[1]`."""
    database, target = argv
    stamp = databases.stamp(database)
    keys: list[bytes] = []
    labels: list[int] = []
    rows: list[int] = []
    total = databases.length(database)
    with near_duplicates.Structures() as structures:
        with databases.cursor(database) as cursor, Progress("Reading", total, "records", every=2) as bar:
            found = cursor.first()
            while found:
                value = cursor.value()
                labels.append(databases.label_of(value))
                if total <= COMPARED and (image := _grey(bytes(value))) is not None:
                    rows.append(len(keys))
                    structures.append(image)
                keys.append(bytes(cursor.key()))
                bar.step()
                found = cursor.next()
        groups = np.full(len(keys), -1, np.int32)
        if rows:
            groups[rows] = _groups(structures)
    stream = io.BytesIO()
    offsets = np.cumsum([0, *map(len, keys)], dtype=np.int64)
    joined = np.frombuffer(b"".join(keys), np.uint8)
    np.savez(stream, stamp=stamp, keys=joined, offsets=offsets, labels=np.array(labels, np.int32), groups=groups)
    write_bytes(target, stream.getvalue())
    print(f"{len(keys)} records, {len(set(groups[groups >= 0].tolist()))} groups of near-duplicates")


def _grey(value: bytes) -> np.ndarray | None:
    """Return the image of a record in grayscale; None if it has none."""
    try:
        image = databases.to_image(datum.decode(value)[0])
    except CaffeError:
        return None
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


def _groups(structures: near_duplicates.Structures) -> np.ndarray:
    """Return the number of the group of each image, -1 for an image without near-duplicates."""
    parent = list(range(len(structures)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = row = parent[parent[row]]
        return row

    for row, column, _ in near_duplicates.similar_rows(structures, structures):
        if row != column:
            parent[max(root(row), root(column))] = min(root(row), root(column))
    roots = np.array([root(row) for row in range(len(structures))])
    members: Any = np.bincount(roots, minlength=len(roots))
    return np.where(members[roots] > 1, roots, -1).astype(np.int32)
