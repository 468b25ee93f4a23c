"""Run the steps of one job: the process between the server and the commands, which outlives the server.

It is run by its path and imports the standard library only, so it needs few resources while a training runs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

STOP_SECONDS = 60.0  # until a process that does not stop is killed
SAMPLE_SECONDS = 2.0
_RUN = "import sys; from {module} import main; sys.argv[0] = {name!r}; sys.exit(main())"
MODULES = {"agegender": "agegender.cli", "caffe": "caffe.tools", "ncs": "ncs.cli"}
TASKS = "agegender.workbench.tasks"


def command(step: list[str]) -> list[str]:
    """Return the command line of a step, whose first word is a program of this project or "task"."""
    program, *arguments = step
    if program == "task":
        return [sys.executable, "-P", "-m", TASKS, *arguments] if sys.version_info >= (3, 11) else _old(arguments)
    return [sys.executable, "-c", _safe(_RUN.format(module=MODULES[program], name=program)), *arguments]


def _old(arguments: list[str]) -> list[str]:
    text = f"import runpy, sys; sys.argv[0] = 'task'; runpy.run_module({TASKS!r}, run_name='__main__')"
    return [sys.executable, "-c", _safe(text), *arguments]


def _safe(text: str) -> str:
    """Return a program without the current directory on its path, in which a user's json.py would be imported."""
    return "import sys; sys.path = [p for p in sys.path if p]; " + text


class Job:
    """The steps of a job folder, and its process.json."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        with open(os.path.join(folder, "job.json"), encoding="utf-8") as stream:
            self.steps: list[list[str]] = json.load(stream)["steps"]
        self.values: dict[str, Any] = {"pid": os.getpid(), "state": "running", "started": time.time(), "step": 0}
        self.child: subprocess.Popen | None = None
        self.stopping = False
        self.lock = threading.Lock()

    def run(self) -> int:
        """Run every step and return the status of the last one."""
        status = 0
        self.write()
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with open(os.path.join(self.folder, "output.log"), "ab", buffering=0) as output:
            for number, step in enumerate(self.steps):
                if self.stopping:
                    break
                self.values["step"] = number
                self.write()
                output.write(("$ " + " ".join(step) + "\n").encode("utf-8", "surrogateescape"))
                status = self._step(step, output)
                if status:
                    break
        state = "stopped" if self.stopping and status not in (0, 1) else "failed" if status else "finished"
        if self.stopping and state == "finished" and self.values["step"] < len(self.steps) - 1:
            state = "stopped"
        self.values.update(state=state, status=status, ended=time.time())
        self.write()
        return status

    def _step(self, step: list[str], output: Any) -> int:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "MPLBACKEND": "Agg"}
        child = self.child = subprocess.Popen(
            command(step), stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
        if self.stopping:
            child.send_signal(signal.SIGINT)
        sampler = threading.Thread(target=self._sample, args=(child,), daemon=True)
        sampler.start()
        status = child.wait()
        sampler.join()
        return status

    def _sample(self, child: subprocess.Popen) -> None:
        """Append the use of the processor and the memory to usage.jsonl, a row for each sample."""
        before = time.monotonic(), cpu_seconds(child.pid)
        while True:
            try:
                child.wait(SAMPLE_SECONDS)
                return
            except subprocess.TimeoutExpired:
                pass
            now = time.monotonic(), cpu_seconds(child.pid)
            cores = max(0.0, (now[1] - before[1]) / max(1e-3, now[0] - before[0]))
            row = {"time": round(time.time(), 1), "cores": round(cores, 3), "megabytes": resident(child.pid)}
            before = now
            with open(os.path.join(self.folder, "usage.jsonl"), "a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")

    def _stop(self, number: int, frame: object) -> None:
        self.stopping = True
        child = self.child
        if child is not None and child.poll() is None:
            child.send_signal(signal.SIGINT)
            threading.Thread(target=_kill_later, args=(child,), daemon=True).start()

    def write(self) -> None:
        """Write process.json whole."""
        temporary = os.path.join(self.folder, f".process.{os.getpid()}")
        with open(temporary, "w", encoding="utf-8") as stream:
            json.dump(self.values, stream)
        os.replace(temporary, os.path.join(self.folder, "process.json"))


def _kill_later(child: subprocess.Popen) -> None:
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and its ended children, 0 where /proc is absent."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stream:
            fields = stream.read().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """Return the resident memory of a process in MB, 0 where /proc is absent."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as stream:
            return round(int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
    except (OSError, IndexError, ValueError):
        return 0.0


if __name__ == "__main__":
    sys.exit(Job(sys.argv[1]).run())
