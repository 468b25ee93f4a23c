"""Prefetching of batches: read, decode and transform records in a thread while the net computes."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Iterator, Sequence

import numpy as np

from caffe.data import datum
from caffe.data.augment import Augment
from caffe.data.db import DB
from caffe.data.sampler import RecordSampler
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
        self._share = share
        self._force = {"force_color": force_color, "force_gray": force_gray}
        self._ready: queue.Queue = queue.Queue(prefetch)
        self._free: queue.SimpleQueue = queue.SimpleQueue()
        self._prefetch = prefetch
        self._current: Batch | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
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
        started = self._thread is not None
        if not started:
            self._start()
        if self._current is not None:
            self._free.put(self._current)
            self._current = None
        start = time.perf_counter()
        batch = self._ready.get()
        if started:
            self.waited += time.perf_counter() - start
        if isinstance(batch, BaseException):
            self._failure = batch
            raise batch
        self._current = batch
        self.position += 1
        return batch

    __next__ = next

    def __iter__(self) -> BatchPrefetcher:
        return self

    def keep(self) -> None:
        """Transfer ownership of the last batch to the caller: its memory is not reused."""
        if self._current is not None:
            self._free.put(None)
            self._current = None

    def _start(self) -> None:
        if self._stop.is_set():
            raise CaffeError(f"the prefetcher of '{self.db.source}' is closed")
        for _ in range(self._prefetch + 1):
            self._free.put(None)
        self._thread = threading.Thread(target=self._work, args=(self.position,), daemon=True, name="prefetch")
        self._thread.start()

    def _work(self, position: int) -> None:
        """Fill the queue until `close` (in the thread); pass an error on to the consumer."""
        try:
            rank, solvers = self._share
            records = self._records(self.skip + rank + position * self.batch_size * solvers)
            records = itertools.islice(records, 0, None, solvers)
            while not self._stop.is_set():
                reusable = self._free.get()
                if not self._stop.is_set():
                    self._ready.put(self._batch(records, position, reusable))
                position += 1
        except BaseException as error:
            self._ready.put(error)

    def _records(self, start: int) -> Iterator:
        if self.order is None:
            return self.db.at(start)
        return map(self.db.record, self.order.at(start))

    def _batch(self, records: Iterator, position: int, reusable: Batch | None) -> Batch:
        images = []
        if reusable is None:
            labels: Sequence[np.ndarray] = [np.empty(self.batch_size, np.float32) for _ in range(self.labels)]
        else:
            labels = reusable.labels
        for index in range(self.batch_size):
            key, value = next(records)
            image, values = self._decode(key, value)
            images.append(image)
            for array, label in zip(labels, values):
                array[index] = label
        rng = np.random.default_rng([self.seed & 0xFFFFFFFFFFFFFFFF, position])
        data = self._transformed(images, labels, rng, None if reusable is None else reusable.data)
        return Batch((data, *labels))

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
        rng: np.random.Generator | None = None,
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
        self._stop.set()
        while self._thread is not None and self._thread.is_alive():
            self._free.put(None)
            try:
                self._ready.get(timeout=0.01)
            except queue.Empty:
                continue
        self._thread = None

    def __enter__(self) -> BatchPrefetcher:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
