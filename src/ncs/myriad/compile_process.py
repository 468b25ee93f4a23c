"""The child process of the Myriad compiler, from the parent's side (see ncs.myriad.compile_worker)."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from caffe.utils import isolated
from ncs.errors import NcsError
from ncs.myriad.toolchain import Toolchain, check_platform, find

PLUGIN = "libmyriadPlugin.so"


class CompileProcess:
    """A child process that checks and loads the compiler's libraries, then runs one list of tasks.

    Starting it before the model is ready saves the time to load; `close` ends a process that received no tasks.
    """

    def __init__(self, tools: Toolchain) -> None:
        self.tools = tools
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        self._process: Any = subprocess.Popen(
            isolated.command(sys.executable, "ncs.myriad.compile_worker", root, "-S"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(os.environ, LC_ALL="C"),
        )
        self._send({"folder": tools.folder, "plugin": PLUGIN})

    def _send(self, message: object) -> None:
        with contextlib.suppress(BrokenPipeError):  # `results` reports why the process ended
            self._process.stdin.write(json.dumps(message).encode("utf-8") + b"\n")
            self._process.stdin.flush()

    def send(self, tasks: Sequence[dict[str, str]]) -> None:
        """Send the tasks: {"model", "output", "plugins", "inputs", "outputs"} of each."""
        self._send(list(tasks))
        self._count = len(tasks)

    def results(self) -> list[dict]:
        """Wait for all tasks; return {"status", "output"} of each. Raises NcsError if the process fails."""
        output, log = self._process.communicate()
        lines = output.decode("utf-8", "replace").splitlines()
        if len(lines) != self._count:
            errors = log.decode("utf-8", "replace").strip().splitlines() or ["no message"]
            status = self._process.returncode
            raise NcsError(f"the Myriad compiler in {self.tools.folder} did not run (status {status}): {errors[-1]}")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        with contextlib.suppress(BrokenPipeError):  # what was not sent
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.stderr.close()


def start_early() -> CompileProcess | None:
    """Start the compiler's process if the compiler is in the cache; otherwise its download waits for a valid model.

    Raises NcsError if the compiler does not support this machine.
    """
    check_platform()
    tools = find()
    return CompileProcess(tools) if tools else None
