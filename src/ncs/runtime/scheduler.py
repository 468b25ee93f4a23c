"""Several sticks as one runner: results in order, and none lost when a stick is unplugged and reconnected."""

from __future__ import annotations

import collections
import itertools
import threading
import time
from typing import Any, Callable, Iterable, Iterator, Sequence  # noqa: UP035 - the device side supports Python 3.7

import numpy as np

from ncs.errors import DeviceLostError, NoDeviceError
from ncs.runtime import base
from ncs.runtime.work_queue import Work

Opener = Callable[[], base.Runner]


class Scheduler(base.Runner):
    """Distributes batches over the runners that `openers` create, with one thread and one runner per stick.

    Each stick has its runner's `in_flight` requests in flight. The unfinished batches of a lost stick go back to the
    queue; the other sticks continue, and its opener is retried every `retry` seconds. If no stick is left for
    `patience` seconds, NoDeviceError reports how many batches have no result. An error of a batch (a wrong shape) is
    raised for that batch.
    """

    def __init__(self, openers: Sequence[Opener], patience: float = 10.0, retry: float = 0.2) -> None:
        self._openers = list(openers)
        self._patience, self._retry = patience, retry
        self.completed = [0] * len(self._openers)  # batches per stick
        self.lost = [0] * len(self._openers)  # number of times each stick was lost
        self._runners = [_open_or_none(opener) for opener in self._openers]
        runners = [runner for runner in self._runners if runner is not None]
        if not runners:
            raise NoDeviceError(f"No devices found: none of {len(self._openers)} sticks responds")
        self.device = f"{len(runners)} devices: {', '.join(runner.device for runner in runners)}"
        self.in_flight = sum(runner.in_flight for runner in runners)
        self.batch_size = runners[0].batch_size
        self.input_shape = runners[0].input_shape
        self.input_shapes = runners[0].input_shapes
        self._work, self._tickets = Work(), itertools.count()
        self._threads = [
            threading.Thread(target=self._serve, args=(number,), daemon=True) for number in range(len(self._openers))
        ]
        for thread in self._threads:
            thread.start()

    def run(self, batch: base.Batch) -> np.ndarray:
        """Distribute a batch (N, C, H, W) over the sticks in chunks of the model's size; return float32 (N, K)."""
        array, size = self.packed(batch), self.batch_size
        return np.concatenate(list(self._run_packed(array[i : i + size] for i in range(0, len(array), size))))

    def run_many(self, batches: Iterable[base.Batch]) -> Iterator[np.ndarray]:
        """Yield one output per batch, in order; reads at most four batches per request in flight ahead."""
        return self._run_packed(self.packed(batch) for batch in batches)

    def _run_packed(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        tickets: collections.deque[int] = collections.deque()
        try:
            for batch in batches:
                if len(tickets) >= 4 * self.in_flight:
                    yield self._wait(tickets.popleft())
                tickets.append(self._add(batch))
            while tickets:
                yield self._wait(tickets.popleft())
        finally:  # the caller may stop early
            self._work.cancel(tickets)

    def submit(self, batch: base.Batch) -> Callable[[], np.ndarray]:
        """Start `batch` on the first free stick and return a function that waits for its output."""
        ticket = self._add(self.packed(batch))
        return lambda: self._wait(ticket)

    def temperature(self) -> float | None:
        """Return the temperature of the hottest stick in degrees Celsius, or None if it is unknown."""
        temperatures = [runner.temperature() for runner in self._runners if runner is not None]
        return max((value for value in temperatures if value is not None), default=None)

    def close(self) -> None:
        """Stop the threads and release all sticks."""
        self._work.stop()
        for thread in self._threads:
            thread.join()
        for runner in self._runners:
            if runner is not None:
                runner.close()
        self._runners = [None] * len(self._openers)

    def _add(self, batch: np.ndarray) -> int:
        ticket = next(self._tickets)
        self._work.add(ticket, batch)
        return ticket

    def _wait(self, ticket: int) -> np.ndarray:
        """Return the result of a ticket. Raises NoDeviceError if no stick was available for `patience` seconds."""
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
                    f"No devices found: all sticks were lost and none came back within {self._patience:g} s; "
                    f"{self._work.unfinished()} batches have no result"
                )

    def _serve(self, number: int) -> None:
        """Serve one stick: start queued batches up to `in_flight`, then wait for the oldest."""
        started: collections.deque[tuple[int, np.ndarray, Callable[[], np.ndarray]]] = collections.deque()
        work = self._work
        while not work.stopped:
            try:
                runner = self._runners[number] or self._reopen(number)
                if runner is None:
                    continue
                item = work.take(wait=not started) if len(started) < runner.in_flight else None
                if item is not None:
                    started.append((*item, _not_started))
                    started[-1] = (*item, _start(runner, item[1]))
                elif started:
                    work.put(started[0][0], _finish(started[0][2]))
                    started.popleft()
                    self.completed[number] += 1
            except DeviceLostError:
                self._drop(number)
                work.requeue((ticket, batch) for ticket, batch, _ in started)
                started.clear()
            except Exception as error:  # a reconnected stick cannot load the model
                work.fail(error)

    def _reopen(self, number: int) -> base.Runner | None:
        self._runners[number] = runner = _open_or_none(self._openers[number])
        if runner is None:
            self._work.pause(self._retry)
        return runner

    def _drop(self, number: int) -> None:
        runner, self._runners[number] = self._runners[number], None
        self.lost[number] += 1
        if runner is not None:
            runner.close()


def _start(runner: base.Runner, batch: np.ndarray) -> Callable[[], np.ndarray]:
    """Start a request; an error of the batch, not of the stick, is raised when the caller waits for the result."""
    try:
        return runner.submit_packed(batch)
    except DeviceLostError:
        raise
    except Exception as error:
        batch_error = error

        def fail() -> np.ndarray:
            raise batch_error

        return fail


def _finish(wait: Callable[[], np.ndarray]) -> Any:
    """Return the result, or the exception if it is an error of the batch."""
    try:
        return wait()
    except DeviceLostError:
        raise
    except Exception as error:
        return error


def _not_started() -> Any:
    raise DeviceLostError("the request was never started")


def _open_or_none(opener: Opener) -> base.Runner | None:
    try:
        return opener()
    except (DeviceLostError, NoDeviceError):
        return None
