"""The process that `ncs.runtime.remote` starts under the Python of a stick's runtime; it keeps what is loaded there.

Messages (see `wire`) come on standard input: {"ask": what, "ticket": number, ...}. Each is answered on standard output with
its ticket: {"ticket", "value"}, an array, or {"ticket", "error", "text"}. It ends when its input does. Valid Python 3.7.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from typing import Any, Callable  # noqa: UP035

from ncs import errors
from ncs.runtime import base, myriad, pipe_protocol

_ERRORS = (errors.DeviceLostError, errors.NoDeviceError, errors.NcsError)  # the narrower first


class Worker:
    """The models by number; each has a thread that waits for its answers, so that requests overlap."""

    def __init__(self, sink: Any) -> None:
        self._sink, self._lock = sink, threading.Lock()
        self._models: dict[int, tuple[Any, Any]] = {}

    def take(self, ask: str, ticket: int, array: Any, facts: dict[str, Any]) -> None:
        """Begin what is asked for."""
        if ask in ("sticks", "open"):
            self._answer(ticket, lambda: getattr(self, "_" + ask)(**facts))
            return
        runner, waiting = self._models[facts.pop("model")]
        if ask == "start":
            step = _begun(runner, array)
        else:
            step = {"profile": lambda: runner.profile(array), "temperature": runner.temperature, "close": runner.close}[
                ask
            ]
        waiting.put((ticket, step))
        if ask == "close":
            waiting.put(None)

    def _sticks(self) -> list[str]:
        return myriad.sticks()

    def _open(
        self,
        model: int,
        files: dict[str, str],
        output: str,
        name: str,
        hashes: dict[str, str],
        device: str,
        **options: Any,
    ) -> dict[str, Any]:
        runner = myriad.Myriad(base.Model(files, output, name, hashes=hashes), device, **options)
        waiting: queue.Queue[Any] = queue.Queue()
        self._models[model] = runner, waiting
        threading.Thread(target=self._serve, args=(waiting,), daemon=True).start()
        return {"input_shape": runner.input_shape, "in_flight": runner.in_flight}

    def _serve(self, waiting: Any) -> None:
        for ticket, step in iter(waiting.get, None):
            self._answer(ticket, step)

    def _answer(self, ticket: int, step: Callable[[], Any]) -> None:
        array = None
        head: dict[str, Any] = {"ticket": ticket}
        try:
            value = step()
            if hasattr(value, "dtype"):
                array = value
            else:
                head["value"] = value
        except Exception as error:  # every fault is the other side's to raise
            kind = next((kind.__name__ for kind in _ERRORS if isinstance(error, kind)), type(error).__name__)
            head.update(error=kind, text=str(error))
        with self._lock:
            pipe_protocol.send(self._sink, head, array)


def _begun(runner: Any, array: Any) -> Callable[[], Any]:
    """Begin a request now; what waits for it, or raises why it could not be begun."""
    try:
        return runner.submit(array)
    except Exception as error:
        fault = error

        def fail() -> Any:
            raise fault

        return fail


def main() -> None:
    """Serve standard input until it ends."""
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the libraries may print
    worker = Worker(sink)
    while True:
        try:
            facts, array = pipe_protocol.receive(sys.stdin.buffer)
        except EOFError:
            break
        worker.take(facts.pop("ask"), facts.pop("ticket"), array, facts)
    os._exit(0)  # without waiting for a stick that no longer answers


if __name__ == "__main__":
    main()
