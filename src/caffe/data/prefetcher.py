"""Feed: batches for a Data layer, read, decoded and transformed in a thread while the net computes."""

from __future__ import annotations

import atexit
import copy
import os
import queue
import threading
import time
import weakref
from collections.abc import Iterator, Sequence

import numpy as np

from caffe.data import datum
from caffe.data.augment import Augment
from caffe.data.db import DB
from caffe.data.sampler import RecordSampler
from caffe.device.transform import TEST, Transform, is_train
from caffe.errors import CaffeError


class Batch(tuple):
    """(data float32 (N, C, H, W), label float32 (N,), further labels ...); valid until the next batch is taken."""

    @property
    def data(self) -> np.ndarray:
        """The pictures."""
        return self[0]

    @property
    def labels(self) -> tuple[np.ndarray, ...]:
        """The labels, one array a top."""
        return self[1:]


class BatchPrefetcher:
    """An endless row of batches in the order of the database's keys, beginning anew after the last record.

    Batch `position` holds records skip + position * batch_size and on, modulo the length, or those that `order` names for
    these numbers. It draws its crops, mirrors and changes (`augment`, TRAIN only) from (seed, position) alone: a Feed made
    with another Feed's `position` and `seed` goes on as that one would have. `labels` are read of each record. The thread
    starts with the first batch; `prefetch` batches are kept ready. A record that cannot be used raises a CaffeError with its
    key where its batch is taken. `close` or `with` ends it.
    """

    def __init__(
        self,
        db: DB,
        batch_size: int,
        transform: Transform,
        phase: str | int = TEST,
        *,
        seed: int = 0,
        position: int = 0,
        skip: int = 0,
        prefetch: int = 4,
        force_color: bool = False,
        force_gray: bool = False,
        labels: int = 1,
        order: RecordSampler | None = None,
        augment: Augment | None = None,
    ) -> None:
        if batch_size < 1 or prefetch < 1 or position < 0 or skip < 0:
            raise CaffeError(
                "batch_size and prefetch must be at least 1, position and skip 0; received %d, %d, %d, %d"
                % (batch_size, prefetch, position, skip)
            )
        self.db, self.batch_size, self.transform, self.phase = db, batch_size, transform, phase
        self.seed, self.position, self.skip = seed, position, skip
        self.labels, self.order = labels, order
        self.augment = augment if is_train(phase) else None
        self.waited = 0.0  # seconds that `next` stood still for, the thread's start left out
        self._force = {"force_color": force_color, "force_gray": force_gray}
        self._prefetch = prefetch
        self._given: Batch | None = None
        self._line: _Line | None = None
        self._closed = False
        self._failure: BaseException | None = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, C, H, W) of the batches, told by the first record as Caffe does."""
        key, value = next(self.db.at(0))
        planes, labels = self._decode(key, value)
        self._transformed([planes], ())  # says what does not fit before training begins
        if self.augment is not None:
            self._transformed([planes], [np.full(1, label, np.float32) for label in labels], np.random.default_rng(0))
        return (self.batch_size, *self.transform.output_shape(planes.shape))

    def next(self) -> Batch:
        """The batch at `position`, which then moves on by one."""
        if self._failure is not None:
            raise self._failure
        begun = self._line is not None
        line = self._line or self._start()
        if self._given is not None:
            line.free.put(self._given)
            self._given = None
        since = time.perf_counter()
        batch = line.ready.get()
        if begun:
            self.waited += time.perf_counter() - since
        if isinstance(batch, BaseException):
            self._failure = batch
            raise batch
        self._given = batch
        self.position += 1
        return batch

    __next__ = next

    def __iter__(self) -> BatchPrefetcher:
        return self

    def keep(self) -> None:
        """The batch last taken belongs to the caller: its memory is not used again."""
        if self._given is not None and self._line is not None:
            self._line.free.put(None)
            self._given = None

    def _start(self) -> _Line:
        """Have a thread make batches. It works with a copy of the feed: the feed itself must be free to go."""
        if self._closed:
            raise CaffeError(f"the feed of '{self.db.source}' was closed")
        self._line = line = _Line(copy.copy(self), self.position, self._prefetch + 1)
        weakref.finalize(self, line.stop).atexit = False
        _started.add(self)
        return line

    def _records(self, start: int) -> Iterator:
        if self.order is None:
            return self.db.at(start)
        return map(self.db.record, self.order.at(start))

    def _batch(self, records: Iterator, position: int, old: Batch | None) -> Batch:
        planes = []
        labels = [np.empty(self.batch_size, np.float32) for _ in range(self.labels)] if old is None else old.labels
        for index in range(self.batch_size):
            key, value = next(records)
            picture, values = self._decode(key, value)
            planes.append(picture)
            for array, label in zip(labels, values):
                array[index] = label
        rng = np.random.default_rng([self.seed & 0xFFFFFFFFFFFFFFFF, position])
        data = self._transformed(planes, labels, rng, None if old is None else old.data)
        return Batch((data, *labels))

    def _decode(self, key: bytes, value: bytes) -> tuple[np.ndarray, list]:
        try:
            return datum.decode_labels(value, self.labels, **self._force)
        except CaffeError as error:
            name = key.decode("utf-8", "replace")
            raise CaffeError(f"database '{self.db.source}', record '{name}': {error}") from None

    def _transformed(
        self,
        planes: list[np.ndarray],
        labels: Sequence[np.ndarray],
        rng: np.random.Generator | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        try:
            if rng is not None and self.augment is not None:
                return self.augment.views(planes, labels, self.transform, rng, out)
            phase = self.phase if rng is not None else TEST
            return self.transform.planes(planes, phase, rng, out)
        except CaffeError as error:
            raise CaffeError(f"database '{self.db.source}': {error}") from None

    def close(self) -> None:
        """End the thread; the database stays open for who opened it."""
        self._closed = True
        line, self._line = self._line, None
        if line is not None:
            line.stop()
            line.join()

    def __enter__(self) -> BatchPrefetcher:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _forget_line(self) -> None:
        """In a forked process, where the thread does not exist: the next batch starts one."""
        self._line = self._given = None


_started: weakref.WeakSet = weakref.WeakSet()


class _Line:
    """A thread that makes batches, and the queues to and from it. It keeps no reference to its Feed.

    `stop` takes no lock and waits for nothing, so the garbage collector may call it in any thread, this one included.
    """

    def __init__(self, maker: BatchPrefetcher, position: int, batches: int) -> None:
        self.ready: queue.SimpleQueue = queue.SimpleQueue()
        self.free: queue.SimpleQueue = queue.SimpleQueue()  # as many batches as may be under way, None for a new one
        self._stopped = False
        for _ in range(batches):
            self.free.put(None)
        self._thread = threading.Thread(target=self._work, args=(maker, position), daemon=True, name="feed")
        self._thread.start()

    def _work(self, maker: BatchPrefetcher, position: int) -> None:
        """The thread: fills the queue until it is told to stop; an error goes to the consumer."""
        try:
            records = maker._records(maker.skip + position * maker.batch_size)
            while True:
                old = self.free.get()
                if self._stopped:
                    return
                self.ready.put(maker._batch(records, position, old))
                position += 1
        except BaseException as error:
            self.ready.put(error)

    def stop(self) -> None:
        """Have the thread end after the batch under way."""
        self._stopped = True
        self.free.put(None)

    def join(self) -> None:
        """Wait for the thread's end, except in that thread."""
        if self._thread is not threading.current_thread():
            self._thread.join()


@atexit.register
def _close_all() -> None:
    """A thread that still decodes while the interpreter ends could crash it."""
    for feed in list(_started):
        feed.close()


def _after_fork() -> None:
    for feed in list(_started):
        feed._forget_line()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
