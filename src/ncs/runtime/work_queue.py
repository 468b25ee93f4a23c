"""What several threads have to do and have done: batches and their answers, each under a ticket."""

from __future__ import annotations

import collections
import threading
from typing import Any, Iterable  # noqa: UP035 - a board's Python is 3.7

import numpy as np

IDLE = 0.02  # seconds between two looks for work or for a lost stick


class Work:
    """What is to be done and what is done, shared by the threads; a ticket goes with each batch."""

    def __init__(self) -> None:
        self.stopped = False
        self._fault: BaseException | None = None
        self._lock = threading.Condition()
        self._todo: collections.deque[tuple[int, np.ndarray]] = collections.deque()
        self._done: dict[int, Any] = {}
        self._wanted: set[int] = set()

    def add(self, ticket: int, batch: np.ndarray) -> None:
        with self._lock:
            self._wanted.add(ticket)
            self._todo.append((ticket, batch))
            self._lock.notify_all()

    def take(self, wait: bool) -> tuple[int, np.ndarray] | None:
        """The next batch, the oldest first; None when there is none (after a moment, if `wait`)."""
        with self._lock:
            if not self._todo and wait:
                self._lock.wait(IDLE)
            return self._todo.popleft() if self._todo else None

    def put(self, ticket: int, answer: Any) -> None:
        """An array, or the exception that it became."""
        with self._lock:
            if ticket in self._wanted:
                self._done[ticket] = answer
            self._lock.notify_all()

    def give_back(self, items: Iterable[tuple[int, np.ndarray]]) -> None:
        """What a lost stick had begun goes to the front again."""
        with self._lock:
            self._todo.extendleft(reversed([item for item in items if item[0] in self._wanted]))
            self._lock.notify_all()

    def result(self, ticket: int) -> np.ndarray | None:
        """The answer to a ticket, or None when it is not there after a moment. Raises what it became instead."""
        with self._lock:
            if ticket not in self._done:
                if self._fault is not None:
                    raise self._fault
                self._lock.wait(IDLE)
            if ticket not in self._done:
                return None
            self._wanted.discard(ticket)
            answer = self._done.pop(ticket)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def forget(self, tickets: Iterable[int]) -> None:
        """Nobody will ask for these any more."""
        with self._lock:
            self._wanted -= set(tickets)
            self._todo = collections.deque(item for item in self._todo if item[0] in self._wanted)
            self._done = {ticket: answer for ticket, answer in self._done.items() if ticket in self._wanted}

    def unanswered(self) -> int:
        """How many batches wait for an answer."""
        with self._lock:
            return len(self._wanted - set(self._done))

    def pause(self, seconds: float) -> None:
        """Wait, unless all ends before."""
        with self._lock:
            self._lock.wait_for(lambda: self.stopped, seconds)

    def fail(self, fault: BaseException) -> None:
        """End everything: every ticket raises `fault`."""
        self._fault = fault
        self.stop()

    def stop(self) -> None:
        with self._lock:
            self.stopped = True
            self._lock.notify_all()
