"""Neural Compute Stick 2 from a Python that its OpenVINO does not support: the runner is a process of another Python.

That Python (3.6 to 3.9, or one with a custom build of OpenVINO 2022.3) is set in NCS_PYTHON; the default is
`ncs2/bin/python` in the cache folder, where `ncs doctor` suggests to create it. It needs numpy, OpenCV and that
OpenVINO.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import subprocess
import tempfile
import threading
from concurrent.futures import Future
from typing import Any, Callable  # noqa: UP035 - the device side supports Python 3.7

import numpy as np

from caffe.utils import isolated
from caffe.utils.cache import runtime_python
from ncs import errors
from ncs.errors import DeviceLostError, NcsError, NoDeviceError
from ncs.runtime import base, pipe_protocol

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Remote(base.Runner):
    """Runs `ncs.runtime.myriad.Myriad` in a process of the other Python; takes the same arguments."""

    def __init__(self, source: Any, device: str = "MYRIAD", **options: Any) -> None:
        model = base.Model.of(source)
        files = {kind: os.path.abspath(path) for kind, path in model.files.items()}
        self.device = device
        self._process = process(runtime_python())
        self._model = self._process.number()
        info = self._request(
            "open",
            files=files,
            outputs=model.outputs,
            inputs=model.inputs,
            name=model.name,
            hashes=model.hashes,
            device=device,
            **options,
        ).result()
        self.input_shape, self.in_flight = tuple(info["input_shape"]), info["in_flight"]
        self.output_shape = tuple(info["output_shape"])
        self.input_shapes = {name: tuple(shape) for name, shape in info["input_shapes"].items()}
        self.batch_size = self.input_shape[0]

    def _start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        self.feeds(batch, "")  # checks the shape
        return self._request("start", batch).result

    def profile(self, batch: np.ndarray) -> list[tuple[str, str, float]]:
        """Return (layer, type, milliseconds) per layer of one request; needs `counters`."""
        return [tuple(row) for row in self._request("profile", batch).result()]

    def temperature(self) -> float | None:
        """Return the temperature of the stick in degrees Celsius, or None if it is unknown."""
        return self._request("temperature").result()

    def close(self) -> None:
        """Release the device."""
        if not self._process.ended:
            self._request("close").result()

    def _request(self, method: str, array: np.ndarray | None = None, **arguments: Any) -> Future:
        return self._process.request(method, array, model=self._model, **arguments)


def sticks() -> list[str]:
    """Return MYRIAD.<name> for every stick that the other Python's OpenVINO finds."""
    return process(runtime_python()).request("sticks").result()


def process(path: str) -> Process:
    """Return the worker process of the Python at `path`; start it if it is not running."""
    worker = _process(path)
    if worker.ended:
        _process.cache_clear()
        worker = _process(path)
    return worker


@functools.lru_cache(maxsize=None)  # noqa: UP033 - one process for all nets: a stick belongs to the process that opened it
def _process(path: str) -> Process:
    return Process(path)


class Process:
    """The worker process: requests go through one pipe; a thread reads the responses and resolves their Futures."""

    def __init__(self, path: str) -> None:
        self.ended = False
        self._path, self._numbers = path, itertools.count()
        self._lock, self._pending = threading.Lock(), {}  # type: ignore[var-annotated]
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the child
        self._folder = tempfile.TemporaryDirectory(prefix="caffe2ncs-")
        for package in ("caffe", "ncs"):  # only these: the folder may contain packages of this Python
            os.symlink(os.path.join(SOURCE, package), os.path.join(self._folder.name, package))
        try:
            self._child = subprocess.Popen(
                isolated.command(path, "ncs.runtime.remote_worker", self._folder.name, first=True),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
            )
        except OSError as error:
            raise NoDeviceError(f"No devices found: NCS_PYTHON={path} cannot be started: {error.strerror}") from error
        threading.Thread(target=self._listen, daemon=True).start()

    def number(self) -> int:
        """Return a unique number."""
        return next(self._numbers)

    def request(self, method: str, array: np.ndarray | None = None, **arguments: Any) -> Future:
        """Send a request and return a Future of its result. Raises DeviceLostError if the process has ended."""
        future: Future = Future()
        with self._lock:
            if self.ended:
                raise self._error()
            ticket = self.number()
            self._pending[ticket] = future
            with contextlib.suppress(OSError):  # the listener notices it too and fails the Future
                pipe_protocol.send(self._child.stdin, dict(arguments, method=method, ticket=ticket), array)
        return future

    def _listen(self) -> None:
        try:
            while True:
                header, array = pipe_protocol.receive(self._child.stdout)
                future = self._pending.pop(header["ticket"])
                if "error" in header:
                    future.set_exception(_exception(header["error"], header["text"]))
                else:
                    future.set_result(header.get("value") if array is None else array)
        except (EOFError, NcsError, LookupError):  # it has ended, or sends what is no message: nobody may wait for it
            self._child.kill()
            self._child.wait()
            with self._lock:
                self.ended = True
            for future in self._pending.values():
                future.set_exception(self._error())

    def _error(self) -> NcsError:
        """Return the exception for a process that has ended, with the last line of its standard error."""
        self._stderr.seek(0)
        lines = [line.strip() for line in self._stderr.read().decode("utf-8", "replace").splitlines() if line.strip()]
        reason = lines[-1] if lines else f"status {self._child.returncode}"
        error = NoDeviceError if "Error: No module named" in reason else DeviceLostError
        return error(f"{self._path}: the process that runs the stick ended: {reason}")


def _exception(name: str, text: str) -> Exception:
    if name in ("NcsError", "NoDeviceError", "DeviceLostError"):
        return getattr(errors, name)(text)
    return RuntimeError(f"{name}: {text}")
