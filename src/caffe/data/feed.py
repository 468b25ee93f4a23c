"""Feed: batches for a Data layer, read, decoded and transformed in a thread while the net computes."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from caffe.data import datum
from caffe.data.db import DB
from caffe.errors import CaffeError
from caffe.transform import TEST, Transform


class Batch(NamedTuple):
    """data float32 (N, C, H, W) and label float32 (N,); valid until the next batch is taken."""

    data: np.ndarray
    label: np.ndarray


class Feed:
    """An endless row of batches in the order of the database's keys, beginning anew after the last record.

    Batch `position` holds records skip + position * batch_size and on, modulo the length, and draws its crops
    and mirrors from (seed, position) alone: a Feed made with another Feed's `position` and `seed` goes on as
    that one would have. The thread starts with the first batch; `prefetch` batches are kept ready. A record
    that cannot be used raises a CaffeError with its key where its batch is taken. `close` or `with` ends it.
    """

    def __init__(
        self, db: DB, batch_size: int, transform: Transform, phase: str | int = TEST, *,
        seed: int = 0, position: int = 0, skip: int = 0, prefetch: int = 4,
        force_color: bool = False, force_gray: bool = False,
    ) -> None:
        if batch_size < 1 or prefetch < 1 or position < 0 or skip < 0:
            raise CaffeError(
                "batch_size and prefetch must be at least 1, position and skip 0; received %d, %d, %d, %d"
                % (batch_size, prefetch, position, skip)
            )
        self.db, self.batch_size, self.transform, self.phase = db, batch_size, transform, phase
        self.seed, self.position, self.skip = seed, position, skip
        self.waited = 0.0  # seconds that `next` stood still for, the thread's start left out
        self._force = {"force_color": force_color, "force_gray": force_gray}
        self._ready: queue.Queue = queue.Queue(prefetch)
        self._free: queue.SimpleQueue = queue.SimpleQueue()
        self._prefetch = prefetch
        self._given: Batch | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W) of the batches, told by the first record as Caffe does."""
        key, value = next(self.db.at(0))
        planes, _ = self._decode(key, value)
        self._transformed([planes], None)  # says what does not fit before training begins
        return (self.batch_size, *self.transform.output_shape(planes.shape))

    def next(self) -> Batch:
        """The batch at `position`, which then moves on by one."""
        if self._failure is not None:
            raise self._failure
        begun = self._thread is not None
        if not begun:
            self._start()
        if self._given is not None:
            self._free.put(self._given)
            self._given = None
        since = time.perf_counter()
        batch = self._ready.get()
        if begun:
            self.waited += time.perf_counter() - since
        if isinstance(batch, BaseException):
            self._failure = batch
            raise batch
        self._given = batch
        self.position += 1
        return batch

    __next__ = next

    def __iter__(self) -> Feed:
        return self

    def keep(self) -> None:
        """The batch last taken belongs to the caller: its memory is not used again."""
        if self._given is not None:
            self._free.put(None)
            self._given = None

    def _start(self) -> None:
        if self._stop.is_set():
            raise CaffeError("the feed of '%s' was closed" % self.db.source)
        for _ in range(self._prefetch + 1):
            self._free.put(None)
        self._thread = threading.Thread(target=self._work, args=(self.position,), daemon=True, name="feed")
        self._thread.start()

    def _work(self, position: int) -> None:
        """The thread: fills the queue until it is told to stop; an error goes to the consumer."""
        try:
            records = self.db.at(self.skip + position * self.batch_size)
            while not self._stop.is_set():
                old = self._free.get()
                if not self._stop.is_set():
                    self._ready.put(self._batch(records, position, old))
                position += 1
        except BaseException as error:
            self._ready.put(error)

    def _batch(self, records: Iterator, position: int, old: Batch | None) -> Batch:
        planes = []
        label = np.empty(self.batch_size, np.float32) if old is None else old.label
        for index in range(self.batch_size):
            key, value = next(records)
            picture, label[index] = self._decode(key, value)
            planes.append(picture)
        rng = np.random.default_rng([self.seed & 0xFFFFFFFFFFFFFFFF, position])
        return Batch(self._transformed(planes, rng, None if old is None else old.data), label)

    def _decode(self, key: bytes, value: bytes) -> tuple[np.ndarray, int]:
        try:
            return datum.decode(value, **self._force)
        except CaffeError as error:
            name = key.decode("utf-8", "replace")
            raise CaffeError("database '%s', record '%s': %s" % (self.db.source, name, error)) from None

    def _transformed(
        self, planes: list[np.ndarray], rng: np.random.Generator | None, out: np.ndarray | None = None
    ) -> np.ndarray:
        try:
            phase = self.phase if rng is not None else TEST
            return self.transform.planes(planes, phase, rng, out)
        except CaffeError as error:
            raise CaffeError("database '%s': %s" % (self.db.source, error)) from None

    def close(self) -> None:
        """End the thread; the database stays open for who opened it."""
        self._stop.set()
        while self._thread is not None and self._thread.is_alive():
            self._free.put(None)
            try:
                self._ready.get(timeout=0.01)
            except queue.Empty:
                continue
        self._thread = None

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
