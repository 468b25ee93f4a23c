"""Common code of the benchmarks: worker processes, interleaved rounds, medians, and one JSON file per benchmark."""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
HISTORY = HERE / "history.jsonl"
PACKAGES = ("torch", "numpy", "openvino", "onnxruntime", "opencv-python-headless", "lmdb", "protobuf")


class Worker:
    """A process that runs steps on request (see bench/worker.py); `info` is its first message."""

    def __init__(self, name, command, threads=None, **environment):
        self.name = name
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the worker
        variables = dict(os.environ, GLOG_minloglevel="2", **environment)
        if threads:
            for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
                variables[variable] = str(threads)
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=variables,
        )
        self.info = self._receive()

    def _receive(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            raise RuntimeError(f"{self.name} ended: {self.errors.read()[-2000:]}")
        return json.loads(line)

    def lap(self, steps):
        """Run steps; return seconds per step, {"wall": ..., "cpu": ...}, and the worker's own counters."""
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return {name: value / steps for name, value in self._receive().items()}

    def peak_memory(self):
        """Return the largest resident memory so far in MB, or None where the system does not tell."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return None
        return next(int(line.split()[1]) / 1e3 for line in status.splitlines() if line.startswith("VmHWM"))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def interleave(workers, rounds, steps=1, warm=1):
    """Run all workers in turn, in a different order each round, so that other load on the machine affects all equally.

    Returns a list of rounds, each {worker name: lap}. `steps` is a number or {worker name: number}.
    """
    count = steps if isinstance(steps, dict) else {w.name: steps for w in workers}
    for worker in workers:
        worker.lap(max(1, warm))
    laps = []
    for number in range(rounds):
        shift = number % len(workers)
        laps.append({w.name: w.lap(count[w.name]) for w in workers[shift:] + workers[:shift]})
        print("  " + "  ".join("{} {:.4g}".format(n, lap["wall"]) for n, lap in laps[-1].items()), file=sys.stderr)
    return laps


def ratio(rounds, slow, fast, key="wall"):
    """Return median, minimum and maximum of `slow` / `fast`, computed within each round."""
    values = [r[slow][key] / r[fast][key] for r in rounds if slow in r and fast in r]
    return {"median": statistics.median(values), "min": min(values), "max": max(values)} if values else None


def median(rounds, name, key="wall"):
    """Return the median of one worker's laps."""
    return statistics.median(r[name][key] for r in rounds)


def run_measured(command):
    """Run a command once; return {"wall": s, "cpu": s, "memory": MB, "status"} (see bench/_rusage.py)."""
    arguments = [sys.executable, HERE / "_rusage.py", *command]
    return json.loads(subprocess.check_output([str(argument) for argument in arguments]))


def machine():
    """Describe the machine: processor, cores, load, system, versions."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_at_start": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    info = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    flags = info.get("flags", "").split()
    known = [f for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f in flags]
    return "{} ({})".format(info.get("model name", platform.processor()), ", ".join(known))


def _version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def save(benchmark, **data):
    """Write bench/results/<benchmark>.json."""
    RESULTS.mkdir(exist_ok=True)
    when = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    path = RESULTS / (benchmark + ".json")
    path.write_text(json.dumps({"benchmark": benchmark, "when": when, "machine": machine(), **data}, indent=1) + "\n")
    print("wrote", path, file=sys.stderr)
    _append_history(benchmark, when, ratios(data))


def ratios(data, name=""):
    """Return {name: median} of every ratio in the results of a benchmark, named by its case and its key."""
    if isinstance(data, dict):
        if set(data) >= {"median", "min", "max"}:
            return {name: data["median"]}
        return {
            k: v for key, value in data.items() if key != "rounds" for k, v in ratios(value, f"{name}/{key}").items()
        }
    if not isinstance(data, list):
        return {}
    found = {}
    for case in data:
        labels = [str(v) for v in case.values() if isinstance(v, (str, int))] if isinstance(case, dict) else []
        found.update(ratios(case, f"{name}/{' '.join(labels)}"))
    return found


_history_length: dict[str, int] = {}  # of the history before this process wrote to it, by benchmark


def _append_history(benchmark, when, values):
    """Add a line to bench/history.jsonl: ratios, which can be compared between machines of one kind."""
    if not values:
        return
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True).stdout
    line = {"benchmark": benchmark, "when": when, "commit": commit.strip(), "processor": _processor(), "ratios": values}
    before = HISTORY.read_text(encoding="utf-8") if HISTORY.exists() else ""
    before = before[: _history_length.setdefault(benchmark, len(before))]  # a run that saves several times has one line
    HISTORY.write_text(before + json.dumps(line) + "\n", encoding="utf-8")


def arguments(description, rounds):
    """Return a parser with the options of all benchmarks."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds, help=f"measured rounds (default {rounds})")
    parser.add_argument("--only", default="", help="run only cases whose name contains this text")
    return parser


def missing_baseline(name, reason):
    """Report that a baseline is not available."""
    print(f"  without {name}: {reason}", file=sys.stderr)
    return {"baseline": name, "reason": reason}
