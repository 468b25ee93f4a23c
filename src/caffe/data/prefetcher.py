"""Prefetching of batches: read, decode and transform records in a thread while the net computes."""

from __future__ import annotations

import atexit
import copy
import itertools
import os
import queue
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from caffe.data import datum
from caffe.data.augment import Augment
from caffe.data.db import DB
from caffe.data.sampler import RecordSampler
from caffe.data.shared_draws import SharedDraws
from caffe.device.transform import TEST, Transform, is_train
from caffe.errors import CaffeError


class Batch(tuple):
    """(data float32 (N, C, H, W), labels float32 (N,), further labels ...); valid until the next batch is requested."""

    @property
    def data(self) -> np.ndarray:
        """The images, float32 (N, C, H, W)."""
        return self[0]

    @property
    def labels(self) -> tuple[np.ndarray, ...]:
        """The labels, one float32 array (N,) per top."""
        return self[1:]


class BatchPrefetcher:
    """Endless iterator of batches in key order, restarting after the last record; a context manager.

    Crops, mirroring and augmentation depend only on (seed, position): a prefetcher created with the `seed` and
    `position` of another one continues with the same batches. The thread starts with the first batch. An invalid record
    raises a CaffeError with its key when its batch is requested.

    Parameters
    ----------
    db : DB
    batch_size : int
    transform : Transform
    phase : {"TRAIN", "TEST"} or Caffe's number
    seed : int
    position : int
        Number of the next batch. Batch p starts at record skip + p * batch_size, modulo the number of records.
    skip : int
        Number of records to skip.
    prefetch : int
        Number of batches to keep ready.
    force_color, force_gray : bool
        Channels of encoded images (see `datum.decode`).
    labels : int
        Number of labels per record.
    order : RecordSampler, optional
        Order of the records instead of key order.
    augment : Augment, optional
        Augmentation, applied in phase TRAIN only.
    share : int, int
        Rank and number of the solvers that share the records: this one takes every second, third ... record.
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
        share: tuple[int, int] = (0, 1),
    ) -> None:
        if batch_size < 1 or prefetch < 1 or position < 0 or skip < 0:
            raise CaffeError(
                "batch_size and prefetch must be at least 1, position and skip 0; "
                f"received {batch_size}, {prefetch}, {position}, {skip}"
            )
        self.db, self.batch_size, self.transform, self.phase = db, batch_size, transform, phase
        self.seed, self.position, self.skip = seed, position, skip
        self.labels, self.order = labels, order
        self.augment = augment if is_train(phase) else None
        self.waited = 0.0  # seconds that `next` has waited, except for the first batch
        self.share = share
        self._rounds: tuple[int, int, int] | None = None
        self.round_start = position  # where the present round of shared batches starts
        self._force = {"force_color": force_color, "force_gray": force_gray}
        self._prefetch = prefetch
        self._current: Batch | None = None
        self._worker: _Worker | None = None
        self._closed = False
        self._failure: BaseException | None = None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape (N, C, H, W) of the batches, taken from the first record as in Caffe."""
        key, value = next(self.db.at(0))
        planes, labels = self._decode(key, value)
        self._transformed([planes], ())  # reports mismatches before training starts
        if self.augment is not None:
            self._transformed([planes], [np.full(1, label, np.float32) for label in labels], np.random.default_rng(0))
        return (self.batch_size, *self.transform.output_shape(planes.shape))

    def next(self) -> Batch:
        """Return the batch at `position` and advance `position`."""
        if self._failure is not None:
            raise self._failure
        started = self._worker is not None
        worker = self._worker or self._start()
        if self._current is not None:
            worker.free.put(self._current)
            self._current = None
        start = time.perf_counter()
        batch = worker.ready.get()
        if started:
            self.waited += time.perf_counter() - start
        if isinstance(batch, BaseException):
            self._failure = batch
            raise batch
        self._current = batch
        self.position = self._after(self.position)
        return batch

    __next__ = next

    def share_batches(self, rank: int, size: int, count: int) -> None:
        """From here on, of every `count` batches return number `rank`, `rank` + `size` ... only."""
        self._rounds = (rank, size, count)
        self.round_start = self.position
        self.position += rank

    def _after(self, position: int) -> int:
        """Return the position of the batch after that at `position`."""
        if self._rounds is None:
            self.round_start = position + 1
            return position + 1
        rank, size, count = self._rounds
        if position + size < self.round_start + count:
            return position + size
        self.round_start += count
        return self.round_start + rank

    def __iter__(self) -> BatchPrefetcher:
        return self

    def keep(self) -> None:
        """Transfer ownership of the last batch to the caller: its memory is not reused."""
        if self._current is not None and self._worker is not None:
            self._worker.free.put(None)
            self._current = None

    def _start(self) -> _Worker:
        """Start the worker. It gets a copy of the prefetcher, so that the prefetcher itself can be collected."""
        if self._closed:
            raise CaffeError(f"the prefetcher of '{self.db.source}' is closed")
        self._worker = worker = _Worker(copy.copy(self), self.position, self._prefetch + 1)
        weakref.finalize(self, worker.stop).atexit = False
        _started.add(self)
        return worker

    def _records(self, start: int) -> Iterator:
        if self.order is None:
            return self.db.at(start)
        return map(self.db.record, self.order.at(start))

    def _batch(self, records: Iterator, position: int, reusable: Batch | None) -> Batch:
        if reusable is None:
            labels: Sequence[np.ndarray] = [np.empty(self.batch_size, np.float32) for _ in range(self.labels)]
        else:
            labels = reusable.labels
        images = self._images(list(itertools.islice(records, self.batch_size)), labels)
        rng = self._draws(position)
        data = self._transformed(images, labels, rng, None if reusable is None else reusable.data)
        return Batch((data, *labels))

    def _images(self, records: list, labels: Sequence[np.ndarray]) -> Any:
        """Return the images of `records` as a list or an array, and write their labels to `labels`."""
        own_records = type(self)._decode is not BatchPrefetcher._decode  # of a derived class: not Datums
        if self.augment is None and len(labels) == 1 and not own_records:
            batch = datum.decode_batch([value for _, value in records])
            if batch is not None:
                labels[0][:] = batch[1]
                return batch[0]
        images = []
        for index, (key, value) in enumerate(records):
            image, values = self._decode(key, value)
            images.append(image)
            for array, label in zip(labels, values):
                array[index] = label
        return images

    def _own_generator(self, position):
        """Return the random numbers of a batch, others for each of the solvers that share the records."""
        rank, solvers = self.share
        return np.random.default_rng([self.seed & 0xFFFFFFFFFFFFFFFF, position * solvers + rank])

    def _draws(self, position: int) -> Any:
        """Return the random numbers of a batch; solvers that share records draw for all their batches together."""
        seed = [self.seed & 0xFFFFFFFFFFFFFFFF, position]
        rng = np.random.default_rng(seed)
        return (
            rng if self.share[1] == 1 else SharedDraws(rng, *self.share, np.random.default_rng([*seed, self.share[0]]))
        )

    def _decode(self, key: bytes, value: bytes) -> tuple[np.ndarray, list]:
        try:
            return datum.decode_labels(value, self.labels, **self._force)
        except CaffeError as error:
            name = key.decode("utf-8", "replace")
            raise CaffeError(f"database '{self.db.source}', record '{name}': {error}") from None

    def _transformed(
        self,
        images: list[np.ndarray],
        labels: Sequence[np.ndarray],
        rng: Any = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        try:
            if rng is not None and self.augment is not None:
                return self.augment.apply(images, labels, self.transform, rng, out)
            phase = self.phase if rng is not None else TEST
            return self.transform.planes(images, phase, rng, out)
        except CaffeError as error:
            raise CaffeError(f"database '{self.db.source}': {error}") from None

    def close(self) -> None:
        """Stop the thread; the caller closes the database."""
        self._closed = True
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()
            worker.join()

    def __enter__(self) -> BatchPrefetcher:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _forget_worker(self) -> None:
        """Called in a forked process, which has no worker thread: the next batch starts one."""
        self._worker = self._current = None


_started: weakref.WeakSet[BatchPrefetcher] = weakref.WeakSet()


class _Worker:
    """A thread that makes batches, and its queues. It keeps no reference to its BatchPrefetcher.

    `stop` takes no lock and never waits, so that the garbage collector may call it in any thread, also in this one.
    """

    def __init__(self, prefetcher: BatchPrefetcher, position: int, batches: int) -> None:
        self.ready: queue.SimpleQueue = queue.SimpleQueue()
        self.free: queue.SimpleQueue = queue.SimpleQueue()  # batches to reuse; None stands for a new one
        self._stopped = False
        for _ in range(batches):
            self.free.put(None)
        self._thread = threading.Thread(target=self._work, args=(prefetcher, position), daemon=True, name="prefetch")
        self._thread.start()

    def _work(self, prefetcher: BatchPrefetcher, position: int) -> None:
        """Fill the queue until `stop` (in the thread); pass an error on to the consumer."""
        try:
            rank, solvers = prefetcher.share
            records = prefetcher._records(prefetcher.skip + rank + position * prefetcher.batch_size * solvers)
            records = itertools.islice(records, 0, None, solvers)
            while True:
                reusable = self.free.get()
                if self._stopped:
                    return
                self.ready.put(prefetcher._batch(records, position, reusable))
                following = prefetcher._after(position)
                skipped = (following - position - 1) * prefetcher.batch_size
                position = following
                next(itertools.islice(records, skipped, skipped), None)
        except BaseException as error:
            self.ready.put(error)

    def stop(self) -> None:
        """Make the thread end after its present batch."""
        self._stopped = True
        self.free.put(None)

    def join(self) -> None:
        """Wait until the thread has ended, unless called in that thread."""
        if self._thread is not threading.current_thread():
            self._thread.join()


@atexit.register
def _close_all() -> None:
    """Stop all workers: a thread that decodes while the interpreter shuts down can crash it."""
    for prefetcher in list(_started):
        prefetcher.close()


def _after_fork() -> None:
    for prefetcher in list(_started):
        prefetcher._forget_worker()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
