"""A Neural Compute Stick 2 from a Python that its OpenVINO was never made for: the runner lives in a process of another one.

That Python (3.6 to 3.9, or whatever an own build of OpenVINO 2022.3 serves) is named in NCS_PYTHON; else it is
`ncs2/bin/python` in the cache folder, where `ncs doctor` proposes to make it. It needs numpy, OpenCV and that OpenVINO.
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
from typing import Any, Callable  # noqa: UP035 - a board's Python is 3.7

import numpy as np

from caffe.utils import isolated
from caffe.utils.cache import runtime_python
from ncs import errors
from ncs.errors import DeviceLostError, NcsError, NoDeviceError
from ncs.runtime import base, pipe_protocol

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Remote(base.Runner):
    """`ncs.runtime.myriad.Myriad` in the other Python's process; the same arguments."""

    def __init__(self, source: Any, device: str = "MYRIAD", **options: Any) -> None:
        model = base.Model.of(source)
        files = {kind: os.path.abspath(path) for kind, path in model.files.items()}
        self.device = device
        self._process = process(runtime_python())
        self._model = self._process.number()
        facts = self._ask(
            "open", files=files, output=model.output, name=model.name, hashes=model.hashes, device=device, **options
        ).result()
        self.input_shape, self.in_flight = tuple(facts["input_shape"]), facts["in_flight"]
        self.batch_size = self.input_shape[0]

    def _start(self, batch: np.ndarray) -> Callable[[], np.ndarray]:
        base.check_shape(batch, self.input_shape)
        return self._ask("start", batch).result

    def profile(self, batch: np.ndarray) -> list[tuple[str, str, float]]:
        """(layer, kind, milliseconds) of one request, where the model was loaded with counters."""
        return [tuple(row) for row in self._ask("profile", batch).result()]

    def temperature(self) -> float | None:
        """Degrees Celsius of the stick, where it tells."""
        return self._ask("temperature").result()

    def close(self) -> None:
        if not self._process.gone:
            self._ask("close").result()

    def _ask(self, what: str, array: np.ndarray | None = None, **facts: Any) -> Future:
        return self._process.ask(what, array, model=self._model, **facts)


def sticks() -> list[str]:
    """MYRIAD.<name> of every stick that the other Python's OpenVINO sees."""
    return process(runtime_python()).ask("sticks").result()


def process(path: str) -> Process:
    """The process that runs under the Python at `path`; it is started when first asked for, or when it has died."""
    found = _process(path)
    if found.gone:
        _process.cache_clear()
        found = _process(path)
    return found


@functools.lru_cache(maxsize=None)  # noqa: UP033 - one process for all nets: a stick belongs to the process that opened it
def _process(path: str) -> Process:
    return Process(path)


class Process:
    """The child: questions go down one pipe; a thread hands the answers that come up the other to who asked."""

    def __init__(self, path: str) -> None:
        self.gone = False
        self._path, self._numbers = path, itertools.count()
        self._lock, self._open = threading.Lock(), {}  # type: ignore[var-annotated]
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the child
        self._folder = tempfile.TemporaryDirectory(prefix="caffe2ncs-")
        for package in ("caffe", "ncs"):  # by themselves: beside them may lie packages of this Python
            os.symlink(os.path.join(SOURCE, package), os.path.join(self._folder.name, package))
        try:
            self._child = subprocess.Popen(
                isolated.command(path, "ncs.runtime.remote_worker", self._folder.name, first=True),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
            )
        except OSError as error:
            raise NoDeviceError(f"No devices found: NCS_PYTHON={path} cannot be started: {error.strerror}") from error
        threading.Thread(target=self._listen, daemon=True).start()

    def number(self) -> int:
        """A number that nobody has had."""
        return next(self._numbers)

    def ask(self, what: str, array: np.ndarray | None = None, **facts: Any) -> Future:
        """A Future of the answer. Raises DeviceLostError where the child has ended."""
        found: Future = Future()
        with self._lock:
            if self.gone:
                raise self._end()
            ticket = self.number()
            self._open[ticket] = found
            with contextlib.suppress(OSError):  # the listener sees the end as well, and fails the Future
                pipe_protocol.send(self._child.stdin, dict(facts, ask=what, ticket=ticket), array)
        return found

    def _listen(self) -> None:
        try:
            while True:
                head, array = pipe_protocol.receive(self._child.stdout)
                future = self._open.pop(head["ticket"])
                if "error" in head:
                    future.set_exception(_raised(head["error"], head["text"]))
                else:
                    future.set_result(head.get("value") if array is None else array)
        except EOFError:
            self._child.wait()
            with self._lock:
                self.gone = True
            for future in self._open.values():
                future.set_exception(self._end())

    def _end(self) -> NcsError:
        self._said.seek(0)
        rows = [row.strip() for row in self._said.read().decode("utf-8", "replace").splitlines() if row.strip()]
        why = rows[-1] if rows else f"status {self._child.returncode}"
        kind = NoDeviceError if "Error: No module named" in why else DeviceLostError
        return kind(f"{self._path}: the process that runs the stick ended: {why}")


def _raised(kind: str, text: str) -> Exception:
    if kind in ("NcsError", "NoDeviceError", "DeviceLostError"):
        return getattr(errors, kind)(text)
    return RuntimeError(f"{kind}: {text}")
