"""A thread-safe queue of batches and their results, identified by tickets."""

from __future__ import annotations

import collections
import threading
from typing import Any, Iterable  # noqa: UP035 - the device side supports Python 3.7

import numpy as np

IDLE = 0.02  # seconds between two checks for work or for a lost stick


class Work:
    """Pending batches and finished results, shared by the threads; each batch has a ticket."""

    def __init__(self) -> None:
        self.stopped = False
        self._fault: BaseException | None = None
        self._lock = threading.Condition()
        self._queue: collections.deque[tuple[int, np.ndarray]] = collections.deque()
        self._results: dict[int, Any] = {}
        self._tickets: set[int] = set()

    def add(self, ticket: int, batch: np.ndarray) -> None:
        """Queue a batch."""
        with self._lock:
            self._tickets.add(ticket)
            self._queue.append((ticket, batch))
            self._lock.notify_all()

    def take(self, wait: bool) -> tuple[int, np.ndarray] | None:
        """Return the oldest queued batch, or None if there is none (after waiting briefly, if `wait`)."""
        with self._lock:
            if not self._queue and wait:
                self._lock.wait(IDLE)
            return self._queue.popleft() if self._queue else None

    def put(self, ticket: int, result: Any) -> None:
        """Store the result of a batch: an array, or the exception it raised."""
        with self._lock:
            if ticket in self._tickets:
                self._results[ticket] = result
            self._lock.notify_all()

    def requeue(self, items: Iterable[tuple[int, np.ndarray]]) -> None:
        """Put batches that a lost stick had started back at the front of the queue."""
        with self._lock:
            self._queue.extendleft(reversed([item for item in items if item[0] in self._tickets]))
            self._lock.notify_all()

    def result(self, ticket: int) -> np.ndarray | None:
        """Return a result, or None if it is not ready after a short wait. Raises the batch's exception."""
        with self._lock:
            if ticket not in self._results:
                if self._fault is not None:
                    raise self._fault
                self._lock.wait(IDLE)
            if ticket not in self._results:
                return None
            self._tickets.discard(ticket)
            result = self._results.pop(ticket)
        if isinstance(result, Exception):
            raise result
        return result

    def cancel(self, tickets: Iterable[int]) -> None:
        """Drop batches whose results are no longer needed."""
        with self._lock:
            self._tickets -= set(tickets)
            self._queue = collections.deque(item for item in self._queue if item[0] in self._tickets)
            self._results = {ticket: result for ticket, result in self._results.items() if ticket in self._tickets}

    def unfinished(self) -> int:
        """Return the number of batches without a result."""
        with self._lock:
            return len(self._tickets - set(self._results))

    def pause(self, seconds: float) -> None:
        """Wait for `seconds`, or until the queue is stopped."""
        with self._lock:
            self._lock.wait_for(lambda: self.stopped, seconds)

    def fail(self, fault: BaseException) -> None:
        """Stop the queue; every ticket raises `fault`."""
        self._fault = fault
        self.stop()

    def stop(self) -> None:
        """Stop the queue."""
        with self._lock:
            self.stopped = True
            self._lock.notify_all()
