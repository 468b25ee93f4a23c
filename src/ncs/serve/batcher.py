"""Collects the rows of waiting requests into batches for one runner, in a thread."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np

from ncs.serve.errors import RequestError, busy


class Batcher:
    """Runs the rows of requests on a runner, several requests together.

    What arrives while the runner is busy becomes the next batch; `delay` makes a free runner wait for more.

    Parameters
    ----------
    runner : ncs.runtime.base.Runner
    max_batch : int
        Rows per batch.
    queue : int
        Rows that may wait; more are refused with 503.
    delay : float
        Seconds to wait for a batch to fill.
    observe : callable, optional
        Called with (rows, seconds) for each batch.
    """

    def __init__(
        self,
        runner: Any,
        max_batch: int,
        queue: int = 256,
        delay: float = 0.0,
        observe: Callable[[int, float], Any] | None = None,
    ) -> None:
        self.runner, self.max_batch, self.queue, self.delay = runner, max_batch, queue, delay
        self._observe = observe or (lambda rows, seconds: None)
        self._waiting: collections.deque[tuple[np.ndarray, Future]] = collections.deque()
        self._rows = 0
        self._lock = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, daemon=True, name="batcher")
        self._thread.start()

    @property
    def rows(self) -> int:
        """How many rows wait."""
        return self._rows

    def submit(self, batch: np.ndarray) -> Future:
        """Queue rows (N, C, H, W) and return the Future of their output (N, K).

        Raises
        ------
        RequestError
            503 if the queue is full or the server stops.
        """
        future: Future = Future()
        with self._lock:
            if self._closed:
                raise RequestError(503, "the server is stopping", {"retry-after": "5"})
            if self._rows + len(batch) > self.queue and self._rows:
                raise busy()
            self._waiting.append((batch, future))
            self._rows += len(batch)
            self._lock.notify()
        return future

    def close(self) -> None:
        """Finish what waits, then close the runner."""
        with self._lock:
            self._closed = True
            self._lock.notify()
        self._thread.join()
        self.runner.close()

    def _serve(self):
        pending: collections.deque = collections.deque()
        while True:
            group = self._take(wait=not pending)
            if group:
                pending.append(self._start(group))
            elif not pending:
                return  # closed, and nothing waits
            if pending and (not group or len(pending) >= self.runner.in_flight):
                self._finish(*pending.popleft())

    def _take(self, wait):
        """Return requests that make up the next batch; with `wait`, empty only after `close`."""
        with self._lock:
            while True:
                while wait and not self._waiting and not self._closed:
                    self._lock.wait()
                if self.delay and self._waiting:
                    self._lock.wait_for(lambda: self._rows >= self.max_batch or self._closed, self.delay)
                group = self._group()
                if group or not wait or (self._closed and not self._waiting):
                    return group

    def _group(self):
        group: list[tuple[np.ndarray, Future]] = []
        rows = 0
        while self._waiting and (not group or rows + len(self._waiting[0][0]) <= self.max_batch):
            batch, future = self._waiting.popleft()
            self._rows -= len(batch)
            if future.set_running_or_notify_cancel():  # False: the client is gone
                group.append((batch, future))
                rows += len(batch)
        return group

    def _start(self, group):
        began = time.perf_counter()
        try:
            batch = group[0][0] if len(group) == 1 else np.concatenate([rows for rows, _ in group])
            return group, self.runner.submit(batch), began, len(batch)
        except Exception as error:
            fault = error

            def fail():
                raise fault

            return group, fail, began, 0

    def _finish(self, group, wait, began, rows):
        try:
            result = wait()
        except Exception as error:  # of this batch: only its requests get it
            for _, future in group:
                future.set_exception(error)
            return
        self._observe(rows, time.perf_counter() - began)
        first = 0
        for batch, future in group:
            future.set_result(result[first : first + len(batch)])
            first += len(batch)
