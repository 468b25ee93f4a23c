"""The worker process that `ncs.runtime.remote` starts with the stick's Python; it keeps the models loaded.

Requests (see `pipe_protocol`) arrive on standard input: {"method": name, "ticket": number, ...}. Each response is
written to standard output with the ticket: {"ticket", "value"}, an array, or {"ticket", "error", "text"}. The process
ends when its input ends. Valid Python 3.7.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from typing import Any, Callable  # noqa: UP035

from ncs import errors
from ncs.runtime import base, myriad, pipe_protocol

_ERRORS = (errors.DeviceLostError, errors.NoDeviceError, errors.NcsError)  # subclasses first


class Worker:
    """The loaded models by number; each has a thread that waits for results, so that requests overlap."""

    def __init__(self, sink: Any) -> None:
        self._sink, self._lock = sink, threading.Lock()
        self._models: dict[int, tuple[Any, Any]] = {}

    def handle(self, method: str, ticket: int, array: Any, arguments: dict[str, Any]) -> None:
        """Start a request."""
        if method in ("sticks", "open"):
            self._respond(ticket, lambda: getattr(self, "_" + method)(**arguments))
            return
        runner, pending = self._models[arguments.pop("model")]
        methods = {"profile": lambda: runner.profile(array), "temperature": runner.temperature, "close": runner.close}
        function = _start(runner, array) if method == "start" else methods[method]
        pending.put((ticket, function))
        if method == "close":
            pending.put(None)

    def _sticks(self) -> list[str]:
        return myriad.sticks()

    def _open(
        self,
        model: int,
        files: dict[str, str],
        outputs: list[str],
        inputs: list[str],
        name: str,
        hashes: dict[str, str],
        device: str,
        **options: Any,
    ) -> dict[str, Any]:
        output = outputs[0] if outputs else ""
        source = base.Model(files, output, name, hashes=hashes, outputs=outputs, inputs=inputs)
        runner = myriad.Myriad(source, device, **options)
        pending: queue.Queue[Any] = queue.Queue()
        self._models[model] = runner, pending
        threading.Thread(target=self._serve, args=(pending,), daemon=True).start()
        return {
            "input_shape": runner.input_shape,
            "input_shapes": runner.input_shapes,
            "output_shape": runner.output_shape,
            "in_flight": runner.in_flight,
        }

    def _serve(self, pending: Any) -> None:
        for ticket, function in iter(pending.get, None):
            self._respond(ticket, function)

    def _respond(self, ticket: int, function: Callable[[], Any]) -> None:
        array = None
        header: dict[str, Any] = {"ticket": ticket}
        try:
            value = function()
            if hasattr(value, "dtype"):
                array = value
            else:
                header["value"] = value
        except Exception as error:  # every exception is raised on the other side
            name = next((known.__name__ for known in _ERRORS if isinstance(error, known)), type(error).__name__)
            header.update(error=name, text=str(error))
        with self._lock:
            pipe_protocol.send(self._sink, header, array)


def _start(runner: Any, array: Any) -> Callable[[], Any]:
    """Start a request; return a function that waits for its result, or raises why it could not be started."""
    try:
        return runner.submit_packed(array)
    except Exception as error:
        start_error = error

        def fail() -> Any:
            raise start_error

        return fail


def main() -> None:
    """Serve standard input until it ends."""
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the libraries may print to standard output
    worker = Worker(sink)
    while True:
        try:
            header, array = pipe_protocol.receive(sys.stdin.buffer)
        except EOFError:
            break
        worker.handle(header.pop("method"), header.pop("ticket"), array, header)
    os._exit(0)  # do not wait for a stick that no longer responds


if __name__ == "__main__":
    main()
