"""Pages of records of an LMDB, straight out of the file: keys in order, from a key on, never a scan of the database."""

from __future__ import annotations

import bisect
import contextlib
import dataclasses
import functools
import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import lmdb
import numpy as np

from agegender.errors import AgeGenderError
from caffe.data import datum
from caffe.data.db.lmdb import LmdbReader
from caffe.errors import CaffeError

PAGE = 60
SIDE = 96  # pixels of a thumbnail
MAX_SIDE = 512
OPEN = 16  # databases kept open
INDICES = 4  # kept in memory
_opened: OrderedDict[tuple[str, int, int], LmdbReader] = OrderedDict()
_lock = threading.Lock()


def reader(path: str) -> LmdbReader:
    """Return an open reader of an LMDB; a replaced database is opened again."""
    try:
        status = os.stat(os.path.join(path, "data.mdb"))
    except OSError:
        raise AgeGenderError(f"{path}: the database has been removed") from None
    key = (path, status.st_ino, status.st_mtime_ns)
    with _lock:
        if key not in _opened:
            for old in [old for old in _opened if old[0] == path]:
                del _opened[old]  # the file was replaced or changed
            _opened[key] = LmdbReader(path)
            while len(_opened) > OPEN:
                _opened.popitem(last=False)  # closed when its last cursor is gone
        _opened.move_to_end(key)
        return _opened[key]


@contextlib.contextmanager
def cursor(path: str) -> Iterator[lmdb.Cursor]:
    """Open a cursor whose keys and values are buffers into the file."""
    with reader(path).transaction(buffers=True) as transaction:
        yield transaction.cursor()


def length(path: str) -> int:
    """Return the number of records."""
    return len(reader(path))


@dataclasses.dataclass
class Page:
    """Keys and labels of a page of records; `after` is the key that the next page follows, None at the end."""

    keys: list[bytes]
    labels: list[int]
    after: bytes | None


def page(path: str, after: bytes = b"", count: int = PAGE) -> Page:
    """Return the records after a key.

    Raises
    ------
    AgeGenderError
        If a record is not a Datum.
    """
    keys: list[bytes] = []
    labels: list[int] = []
    more = False
    with cursor(path) as records:
        found = records.set_range(after + b"\0") if after else records.first()
        while found:
            if len(keys) == count:
                more = True
                break
            keys.append(bytes(records.key()))
            labels.append(label_of(records.value()))
            found = records.next()
    return Page(keys, labels, keys[-1] if more else None)


def label_of(value: Any) -> int:
    """Return the label of a record, -1 if it cannot be read."""
    try:
        return datum.label_of(value)
    except CaffeError:
        return -1


def image(path: str, key: bytes) -> np.ndarray:
    """Return the image of a record, uint8 (H, W) or (H, W, 3) in BGR.

    Raises
    ------
    AgeGenderError
        If there is no such record, or it is no image.
    """
    with cursor(path) as records:
        if not records.set_key(key):
            raise AgeGenderError(f"no record {key.decode('utf-8', 'backslashreplace')}")
        value = bytes(records.value())
    try:
        return to_image(datum.decode(value)[0])
    except CaffeError as error:
        raise AgeGenderError(f"record {key.decode('utf-8', 'backslashreplace')}: {error}") from None


def to_image(planes: np.ndarray) -> np.ndarray:
    """Return planes (C, H, W) as an image; floats are scaled to their range, other channels than 3 show the first."""
    if planes.dtype != np.uint8:
        low, high = float(planes.min()), float(planes.max())
        planes = ((planes - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)
    if len(planes) >= 3:
        return np.ascontiguousarray(planes[:3].transpose(1, 2, 0))
    return np.ascontiguousarray(planes[0])


def jpeg(picture: np.ndarray, side: int = SIDE) -> bytes:
    """Return an image as JPEG whose longer side has at most `side` pixels."""
    height, width = picture.shape[:2]
    scale = min(side, MAX_SIDE) / max(height, width)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    ok, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 88])
    if not ok:
        raise AgeGenderError("the image cannot be encoded")
    return bytes(data)


class Keys(Sequence[bytes]):
    """The keys of all records as one string of bytes and offsets: a million keys are no million objects."""

    def __init__(self, data: bytes, offsets: np.ndarray) -> None:
        self._data, self._offsets = data, offsets

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, row: Any) -> Any:
        return self._data[self._offsets[row] : self._offsets[row + 1]]


class Index:
    """Labels of all records of a database, written once by the task `index`: for classes, counts and duplicates.

    Attributes
    ----------
    keys : Keys
        In ascending order.
    labels : ndarray of int32
    groups : ndarray of int32
        Number of the group of near-duplicates, -1 for a record without one.
    """

    def __init__(self, path: str) -> None:
        with np.load(path, allow_pickle=False) as file:
            self.stamp = str(file["stamp"])
            self.labels, self.groups = file["labels"], file["groups"]
            self.keys = Keys(file["keys"].tobytes(), file["offsets"])

    @functools.cached_property
    def _counts(self) -> dict[int, int]:
        labels, counts = np.unique(self.labels, return_counts=True)
        return dict(zip(labels.tolist(), counts.tolist()))

    def counts(self) -> dict[int, int]:
        """Return {label: number of records}."""
        return dict(self._counts)

    def page(self, chosen: np.ndarray, after: bytes = b"", count: int = PAGE) -> Page:
        """Return the records after a key among those of the ascending positions `chosen`."""
        first = 0
        if after:
            first = int(np.searchsorted(chosen, bisect.bisect_right(self.keys, after)))
        rows = chosen[first : first + count].tolist()
        more = first + count < len(chosen)
        keys = [self.keys[row] for row in rows]
        return Page(keys, self.labels[rows].tolist(), keys[-1] if more and keys else None)

    def of_class(self, label: int) -> np.ndarray:
        """Return the positions of the records of a class."""
        return np.flatnonzero(self.labels == label)

    def duplicates(self, most: int = 200) -> list[list[tuple[bytes, int]]]:
        """Return groups of near-duplicates as (key, label), those with contradicting labels first."""
        groups: dict[int, list[tuple[bytes, int]]] = {}
        for row in np.flatnonzero(self.groups >= 0).tolist():
            groups.setdefault(int(self.groups[row]), []).append((self.keys[row], int(self.labels[row])))
        return sorted(groups.values(), key=lambda group: len({label for _, label in group}) == 1)[:most]


def stamp(path: str) -> str:
    """Return what changes when a database is replaced: its size and time."""
    status = os.stat(os.path.join(path, "data.mdb"))
    return hashlib.sha256(f"{status.st_size} {status.st_mtime_ns}".encode()).hexdigest()[:16]


def read_index(file: str, database: str) -> Index | None:
    """Return the index of a database from `file`, or None if there is none of its present state."""
    try:
        index = _read_index(file, os.stat(file).st_mtime_ns)
        return index if index.stamp == stamp(database) else None
    except (OSError, ValueError, KeyError):
        return None


@functools.lru_cache(INDICES)
def _read_index(file: str, changed: int) -> Index:
    return Index(file)
