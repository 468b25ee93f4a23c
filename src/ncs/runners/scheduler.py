"""Several sticks as one runner: answers in order, none lost when a stick is pulled out; it may come back."""

from __future__ import annotations

import collections
import threading
import time
from typing import Any, Callable, Iterable, Iterator, Sequence  # noqa: UP035 - a board's Python is 3.7

import numpy as np

from ncs.errors import DeviceLostError, NcsError, NoDeviceError
from ncs.runners import base

Opener = Callable[[], base.Runner]
_IDLE = 0.02  # seconds between two looks for work or for a lost stick


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

    def run(self, batch: np.ndarray) -> np.ndarray:
        """float32 (N, C, H, W) -> float32 (N, K): the pictures are shared out one by one."""
        batch = np.ascontiguousarray(batch, np.float32)
        if batch.ndim != 4 or not len(batch):
            raise NcsError("a batch is N x C x H x W with N at least 1, received %s" % (batch.shape,))
        return np.concatenate(list(self.run_many(batch[i:i + 1] for i in range(len(batch)))))

    def run_many(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """One result a batch, in order; at most four batches a request under way are taken ahead."""
        work = _Work(4 * self.in_flight)
        threads = [threading.Thread(target=self._serve, args=(number, work), daemon=True)
                   for number in range(len(self._openers))]
        for thread in threads:
            thread.start()
        try:
            yield from self._collect(iter(batches), work)
        finally:
            work.stop()
            for thread in threads:
                thread.join()

    def submit(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        """The answer, worked out at once: `run_many` is what keeps several sticks busy."""
        result = self.run(batch)
        return lambda: result

    def close(self) -> None:
        for runner in self._runners:
            if runner is not None:
                runner.close()
        self._runners = [None] * len(self._openers)

    def _collect(self, batches: Iterator[np.ndarray], work: _Work) -> Iterator[np.ndarray]:
        asked = told = 0
        more, idle_since = True, None
        while more or told < asked:
            while more and asked - told < work.ahead:
                try:
                    work.add(asked, next(batches))
                    asked += 1
                except StopIteration:
                    more = False
            result = work.result(told)
            if result is not None:
                told += 1
                yield result
                continue
            idle_since = self._check_idle(work, idle_since, asked - told)

    def _check_idle(self, work: _Work, since: float | None, unanswered: int) -> float | None:
        """Give up when no stick has been there for `patience` seconds."""
        if work.fault is not None:
            raise work.fault
        if not unanswered or any(runner is not None for runner in self._runners):
            return None
        now = time.monotonic()
        if since is not None and now - since > self._patience:
            raise NoDeviceError("No devices found: every stick was lost and none came back in %g s; at least "
                                "%d pictures have no answer" % (self._patience, unanswered))
        return since or now

    def _serve(self, number: int, work: _Work) -> None:
        """What a stick's thread does: take a batch, begin it; when enough are begun, wait for the oldest."""
        begun: collections.deque[tuple[int, np.ndarray, Callable[[], np.ndarray]]] = collections.deque()
        while not work.stopped:
            try:
                runner = self._runners[number] or self._reopen(number, work)
                if runner is None:
                    continue
                item = work.take(wait=not begun) if len(begun) < runner.in_flight else None
                if item is not None:
                    begun.append((*item, _unstarted))
                    begun[-1] = (*item, runner.submit(item[1]))
                elif begun:
                    work.put(begun[0][0], begun[0][2]())
                    begun.popleft()
                    self.answered[number] += 1
            except DeviceLostError:
                self._forget(number)
                work.give_back((index, batch) for index, batch, _ in begun)
                begun.clear()
            except Exception as fault:  # not the device's doing: it must reach the caller's thread
                work.fail(fault)

    def _reopen(self, number: int, work: _Work) -> base.Runner | None:
        self._runners[number] = runner = _open_or_none(self._openers[number])
        if runner is None:
            work.pause(self._retry)
        return runner

    def _forget(self, number: int) -> None:
        runner, self._runners[number] = self._runners[number], None
        self.lost[number] += 1
        if runner is not None:
            runner.close()


class _Work:
    """What is to be done and what is done, shared by the threads."""

    def __init__(self, ahead: int) -> None:
        self.ahead = max(ahead, 1)
        self.stopped = False
        self.fault: BaseException | None = None
        self._lock = threading.Condition()
        self._todo: collections.deque[tuple[int, np.ndarray]] = collections.deque()
        self._done: dict[int, np.ndarray] = {}

    def add(self, index: int, batch: np.ndarray) -> None:
        with self._lock:
            self._todo.append((index, batch))
            self._lock.notify_all()

    def take(self, wait: bool) -> tuple[int, np.ndarray] | None:
        """The next batch, the oldest first; None when there is none (after a moment, if `wait`)."""
        with self._lock:
            if not self._todo and wait:
                self._lock.wait(_IDLE)
            return self._todo.popleft() if self._todo else None

    def put(self, index: int, result: np.ndarray) -> None:
        with self._lock:
            self._done[index] = result
            self._lock.notify_all()

    def give_back(self, items: Iterable[tuple[int, np.ndarray]]) -> None:
        """What a lost stick had begun goes to the front again."""
        with self._lock:
            self._todo.extendleft(reversed(list(items)))
            self._lock.notify_all()

    def result(self, index: int) -> np.ndarray | None:
        """The answer to batch `index`, or None when it is not there after a moment."""
        with self._lock:
            if index not in self._done:
                self._lock.wait(_IDLE)
            return self._done.pop(index, None)

    def pause(self, seconds: float) -> None:
        """Wait, unless all ends before."""
        with self._lock:
            self._lock.wait_for(lambda: self.stopped, seconds)

    def fail(self, fault: BaseException) -> None:
        self.fault = fault
        self.stop()

    def stop(self) -> None:
        with self._lock:
            self.stopped = True
            self._lock.notify_all()


def _unstarted() -> Any:
    raise DeviceLostError("the request was never begun")


def _open_or_none(opener: Opener) -> base.Runner | None:
    try:
        return opener()
    except (DeviceLostError, NoDeviceError):
        return None
