"""Several sticks as one runner: answers in order, none lost when a stick is pulled out; it may come back."""

from __future__ import annotations

import collections
import itertools
import threading
import time
from typing import Any, Callable, Iterable, Iterator, Sequence  # noqa: UP035 - a board's Python is 3.7

import numpy as np

from ncs.errors import DeviceLostError, NcsError, NoDeviceError
from ncs.runtime import base
from ncs.runtime.work_queue import Work

Opener = Callable[[], base.Runner]


class Scheduler(base.Runner):
    """Spreads batches over the runners that `openers` make, one thread and one runner a stick.

    Each stick has its runner's `in_flight` requests under way. A stick that is lost gives its unanswered
    batches back; the others go on, and its opener is tried again until it gives a runner. When none is left
    for `patience` seconds, NoDeviceError tells how many batches had no answer. A fault that is not the
    device's (a wrong shape) ends the run.
    """

    def __init__(self, openers: Sequence[Opener], patience: float = 10.0, retry: float = 0.2) -> None:
        self._openers = list(openers)
        self._patience, self._retry = patience, retry
        self.answered = [0] * len(self._openers)  # by stick
        self.lost = [0] * len(self._openers)  # times a stick was lost
        self._runners = [_open_or_none(opener) for opener in self._openers]
        there = [runner for runner in self._runners if runner is not None]
        if not there:
            raise NoDeviceError("No devices found: none of %d sticks answers" % len(self._openers))
        self.device = "%d devices: %s" % (len(there), ", ".join(runner.device for runner in there))
        self.in_flight = sum(runner.in_flight for runner in there)
        self.batch_size = there[0].batch_size
        self.input_shape = there[0].input_shape
        self._work, self._tickets = Work(), itertools.count()
        self._threads = [
            threading.Thread(target=self._serve, args=(number,), daemon=True) for number in range(len(self._openers))
        ]
        for thread in self._threads:
            thread.start()

    def run(self, batch: np.ndarray) -> np.ndarray:
        """float32 (N, C, H, W) -> float32 (N, K): the pictures are shared out, as many together as the model takes."""
        batch = np.ascontiguousarray(batch, np.float32)
        if batch.ndim != 4 or not len(batch):
            raise NcsError(f"a batch is N x C x H x W with N at least 1, received {batch.shape}")
        size = self.batch_size
        return np.concatenate(list(self.run_many(batch[i : i + size] for i in range(0, len(batch), size))))

    def run_many(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """One result a batch, in order; at most four batches a request under way are taken ahead."""
        begun: collections.deque[int] = collections.deque()
        try:
            for batch in batches:
                if len(begun) >= 4 * self.in_flight:
                    yield self._wait(begun.popleft())
                begun.append(self._add(batch))
            while begun:
                yield self._wait(begun.popleft())
        finally:  # whoever leaves early wants no more answers
            self._work.forget(begun)

    def submit(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        """Begin `batch`, on whichever stick is free, and return a function that waits for its result."""
        ticket = self._add(batch)
        return lambda: self._wait(ticket)

    def temperature(self) -> float | None:
        """Degrees Celsius of the hottest stick, where one tells."""
        told = [runner.temperature() for runner in self._runners if runner is not None]
        return max((value for value in told if value is not None), default=None)

    def close(self) -> None:
        self._work.stop()
        for thread in self._threads:
            thread.join()
        for runner in self._runners:
            if runner is not None:
                runner.close()
        self._runners = [None] * len(self._openers)

    def _add(self, batch: np.ndarray) -> int:
        ticket = next(self._tickets)
        self._work.add(ticket, np.ascontiguousarray(batch, np.float32))
        return ticket

    def _wait(self, ticket: int) -> np.ndarray:
        """The answer to a ticket; NoDeviceError when no stick has been there for `patience` seconds."""
        idle_since = None
        while True:
            result = self._work.result(ticket)
            if result is not None:
                return result
            if any(runner is not None for runner in self._runners):
                idle_since = None
                continue
            now = time.monotonic()
            idle_since = idle_since or now
            if now - idle_since > self._patience:
                raise NoDeviceError(
                    "No devices found: every stick was lost and none came back in %g s; at least "
                    "%d pictures have no answer" % (self._patience, self._work.unanswered())
                )

    def _serve(self, number: int) -> None:
        """What a stick's thread does: take a batch, begin it; when enough are begun, wait for the oldest."""
        begun: collections.deque[tuple[int, np.ndarray, Callable[[], np.ndarray]]] = collections.deque()
        work = self._work
        while not work.stopped:
            try:
                runner = self._runners[number] or self._reopen(number)
                if runner is None:
                    continue
                item = work.take(wait=not begun) if len(begun) < runner.in_flight else None
                if item is not None:
                    begun.append((*item, _unstarted))
                    begun[-1] = (*item, _begin(runner, item[1]))
                elif begun:
                    work.put(begun[0][0], _finish(begun[0][2]))
                    begun.popleft()
                    self.answered[number] += 1
            except DeviceLostError:
                self._forget(number)
                work.give_back((ticket, batch) for ticket, batch, _ in begun)
                begun.clear()
            except Exception as fault:  # a stick that came back and cannot be given the model
                work.fail(fault)

    def _reopen(self, number: int) -> base.Runner | None:
        self._runners[number] = runner = _open_or_none(self._openers[number])
        if runner is None:
            self._work.pause(self._retry)
        return runner

    def _forget(self, number: int) -> None:
        runner, self._runners[number] = self._runners[number], None
        self.lost[number] += 1
        if runner is not None:
            runner.close()


def _begin(runner: base.Runner, batch: np.ndarray) -> Callable[[], np.ndarray]:
    """Begin a request; a fault that is the batch's, not the stick's, is raised when its result is asked for."""
    try:
        return runner.submit(batch)
    except DeviceLostError:
        raise
    except Exception as error:
        fault = error

        def fail() -> np.ndarray:
            raise fault

        return fail


def _finish(wait: Callable[[], np.ndarray]) -> Any:
    """The result, or the exception that belongs to the batch."""
    try:
        return wait()
    except DeviceLostError:
        raise
    except Exception as fault:
        return fault


def _unstarted() -> Any:
    raise DeviceLostError("the request was never begun")


def _open_or_none(opener: Opener) -> base.Runner | None:
    try:
        return opener()
    except (DeviceLostError, NoDeviceError):
        return None
