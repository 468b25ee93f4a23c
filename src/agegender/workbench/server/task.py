"""Run a short computation in a child process: a JSON request in, a JSON answer and optionally bytes out."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import tempfile
import threading
from typing import Any

from agegender.errors import AgeGenderError
from agegender.workbench.server.bench import Bench
from agegender.workbench.server.job_process import command
from agegender.workbench.server.jobs import _inherited, _source

AT_ONCE = threading.BoundedSemaphore(2)  # processes; further requests wait
WAIT_SECONDS = 60.0


@dataclasses.dataclass
class Answer:
    """What a task returned."""

    values: dict[str, Any]
    data: bytes = b""


def environment() -> dict[str, str]:
    """Return the environment of a task: our sources, one thread, few megapixels."""
    path = os.pathsep.join(filter(None, [_source(), _inherited()]))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "CAFFE_MAX_MEGAPIXELS": "25"}


def run(bench: Bench, name: str, values: dict[str, Any], seconds: float = 60.0, threads: int = 1) -> Answer:
    """Run the task `name` and return its answer.

    Raises
    ------
    AgeGenderError
        If the task reports an error, crashes or takes too long.
    """
    if not AT_ONCE.acquire(timeout=WAIT_SECONDS):
        raise AgeGenderError("the server is busy with other requests; try again")
    try:
        with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
            return _run(bench, name, {**values, "folder": folder}, seconds, threads)
    finally:
        AT_ONCE.release()


def _run(bench: Bench, name: str, values: dict[str, Any], seconds: float, threads: int) -> Answer:
    try:
        process = subprocess.run(
            command(["task", name]),
            input=json.dumps(values).encode(),
            capture_output=True,
            timeout=seconds,
            cwd=bench.settings.root,
            env={**environment(), "OMP_NUM_THREADS": str(threads)},
        )
    except subprocess.TimeoutExpired:
        raise AgeGenderError(f"this took more than {seconds:g} seconds and was stopped") from None
    if process.returncode:
        lines = process.stderr.decode("utf-8", "replace").strip().splitlines()
        errors = [i for i, line in enumerate(lines) if line.startswith("error: ")]
        if process.returncode == 1 and errors:
            raise AgeGenderError("\n".join(lines[errors[-1] :])[len("error: ") :])
        raise AgeGenderError(f"the process ended with status {process.returncode}; it may have run out of memory")
    path = os.path.join(values["folder"], "data")
    data = b""
    if os.path.exists(path):
        with open(path, "rb") as stream:
            data = stream.read()
    text = process.stdout.decode() or "{}"
    return Answer(json.loads(text.splitlines()[-1]), data)
