"""Jobs: commands of this project as child processes, one folder each below jobs/.

The folder is the job: job.json (title, steps, values of the form, state), output.log, and process.json with the
process id while it runs. Every job is run by `job_process`, which is independent of the server: a restart of the
server loses nothing. One job runs at a time, the others wait in order of their names.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from agegender.errors import AgeGenderError
from agegender.workbench.server import job_process
from agegender.workbench.server.settings import Settings
from caffe.utils.atomic_io import write_bytes

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

ENDED = ("finished", "failed", "stopped", "interrupted")
NAME = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9]{3}-[a-z0-9-]{1,60}")
MAX_WAITING = 100


class Queue:
    """The jobs below a root.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        self.settings, self.folder = settings, settings.jobs
        self._lock = threading.Lock()
        self._children: dict[str, subprocess.Popen] = {}
        self._ended: dict[str, dict[str, Any]] = {}

    def add(
        self,
        title: str,
        steps: list[list[str]],
        form: dict[str, Any] | None = None,
        kind: str = "",
        run: str = "",
        page: str = "",
    ) -> str:
        """Queue a job and return its id.

        Parameters
        ----------
        title : str
        steps : list of list of str
            Command lines of Python modules: ["agegender", "train", ...]; each runs after the one before succeeded.
        form : dict, optional
            Values of the form, for `clone`.
        kind : str
            Page of the form: "dataset", "train", "evaluate", "compile" ...
        run : str
            Snapshot prefix of the training, relative to the root.
        page : str
            Address of what the job makes.
        """
        if sum(job["state"] == "waiting" for job in self.all()) >= MAX_WAITING:
            raise AgeGenderError(f"{MAX_WAITING} jobs are waiting; remove some first")
        slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:48] or "job"
        now = time.time()
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now)) + f"-{int(now * 1000) % 1000:03d}"
        name = f"{stamp}-{slug}-{secrets.token_hex(2)}"
        values: dict[str, Any] = {
            "title": title,
            "steps": steps,
            "form": form or {},
            "kind": kind,
            "run": run,
            "page": page,
        }
        values |= {"state": "waiting", "created": now}
        os.makedirs(os.path.join(self.folder, name))
        write_bytes(os.path.join(self.folder, name, "job.json"), json.dumps(values, indent=1))
        self.advance()
        return name

    def all(self) -> list[dict[str, Any]]:
        """Return all jobs, the newest first."""
        try:
            names = sorted((name for name in os.listdir(self.folder) if NAME.fullmatch(name)), reverse=True)
        except OSError:
            return []
        self._ended = {name: job for name, job in self._ended.items() if name in names}
        found = []
        for name in names:
            job = self._ended.get(name) or self.get(name)
            if job is not None:
                found.append(job)
                if job["state"] in ENDED:  # nothing about it changes any more
                    self._ended[name] = job
        return found

    def get(self, name: str) -> dict[str, Any] | None:
        """Return a job, or None; its state is that of its process."""
        if not NAME.fullmatch(name):
            return None
        folder = os.path.join(self.folder, name)
        job = read_json(os.path.join(folder, "job.json"))
        if job is None or os.path.islink(folder):
            return None
        process = read_json(os.path.join(folder, "process.json")) or {}
        job.update({key: process[key] for key in ("started", "ended", "status", "step", "usage") if key in process})
        if process:
            job["state"] = process.get("state", "running")
            if job["state"] == "running" and not _alive(process.get("pid"), name):
                job["state"] = "interrupted"
        return {"id": name, **job}

    def advance(self) -> None:
        """Start the first waiting job if none is running."""
        with self._lock, self._folder_lock() as alone:
            if not alone:
                return  # another server of the same root starts jobs at the moment
            for name in [n for n, child in self._children.items() if child.poll() is not None]:
                del self._children[name]
            jobs = self.all()
            if self._children or any(job["state"] == "running" for job in jobs):
                return
            waiting = [job for job in jobs if job["state"] == "waiting"]
            if waiting:
                self._start(waiting[-1]["id"])

    @contextlib.contextmanager
    def _folder_lock(self) -> Iterator[bool]:
        """Lock the folder of jobs; yields whether this process has the lock."""
        os.makedirs(self.folder, exist_ok=True)
        with open(os.path.join(self.folder, ".lock"), "w") as stream:
            if fcntl is None:
                yield True
                return
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def _start(self, name: str) -> None:
        folder = os.path.join(self.folder, name)
        command = [sys.executable, job_process.__file__, folder]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [_source(), _inherited()]))}
        self._children[name] = subprocess.Popen(
            command,
            cwd=self.settings.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 10
        while not os.path.exists(os.path.join(folder, "process.json")) and time.monotonic() < deadline:
            if self._children[name].poll() is not None:
                break
            time.sleep(0.01)

    def stop(self, name: str) -> None:
        """Stop a job: a training takes a snapshot first. A waiting job does not start any more."""
        job = self.get(name)
        if job is None:
            return
        folder = os.path.join(self.folder, name)
        process = read_json(os.path.join(folder, "process.json"))
        if process is None:
            write_bytes(os.path.join(folder, "process.json"), json.dumps({"state": "stopped", "ended": time.time()}))
        elif job["state"] == "running" and _alive(process["pid"], name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process["pid"], signal.SIGTERM)

    def remove(self, name: str) -> None:
        """Remove the record of an ended job; what it made stays."""
        job = self.get(name)
        if job is not None and job["state"] in ENDED:
            for file in ("job.json", "process.json", "output.log", "usage.jsonl"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(self.folder, name, file))
            with contextlib.suppress(OSError):
                os.rmdir(os.path.join(self.folder, name))

    def output(self, name: str, most: int = 200_000) -> str:
        """Return the end of a job's output."""
        return tail_text(os.path.join(self.folder, name, "output.log"), most)

    def usage(self, name: str) -> list[dict[str, float]]:
        """Return the measured use of the processor and the memory, one row per sample."""
        rows = []
        for line in tail_text(os.path.join(self.folder, name, "usage.jsonl"), 500_000).splitlines():
            with contextlib.suppress(ValueError):
                rows.append(json.loads(line))
        return rows

    def of_run(self, prefix: str) -> list[dict[str, Any]]:
        """Return the jobs of a run, the newest first."""
        return [job for job in self.all() if job["run"] == prefix]


def tail_text(path: str, most: int) -> str:
    """Return the last `most` bytes of a file as text, "" if it does not exist."""
    try:
        with open(path, "rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - most))
            return stream.read(most).decode("utf-8", "replace")
    except OSError:
        return ""


def read_json(path: str) -> dict[str, Any] | None:
    """Return the object in a JSON file, None if it cannot be read or is something else."""
    try:
        with open(path, encoding="utf-8") as stream:
            value = json.load(stream)
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _alive(pid: Any, name: str) -> bool:
    """Return whether the process of a job runs: the id exists and belongs to that job."""
    if not isinstance(pid, int) or pid <= 1:
        return False
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            return name.encode() in stream.read()
    except FileNotFoundError:
        if os.path.isdir("/proc/self"):
            return False
    except OSError:
        return False
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _source() -> str:
    import agegender

    assert agegender.__file__ is not None
    return os.path.dirname(os.path.dirname(os.path.abspath(agegender.__file__)))


def _inherited() -> str:
    return os.environ.get("PYTHONPATH", "")
