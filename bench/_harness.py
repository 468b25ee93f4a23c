"""What the figures share: workers in processes of their own, interleaved rounds, medians, a JSON file a figure."""

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
PACKAGES = ("torch", "numpy", "openvino", "onnxruntime", "opencv-python-headless", "lmdb", "protobuf")


class Worker:
    """A process that runs steps when told to (bench/worker.py); `facts` is what it said of itself when ready."""

    def __init__(self, name, command, threads=None, **environment):
        self.name = name
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the worker
        setting = dict(os.environ, GLOG_minloglevel="2", **environment)
        if threads:
            for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
                setting[variable] = str(threads)
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
            text=True, env=setting,
        )  # fmt: skip
        self.facts = self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            raise RuntimeError(f"{self.name} ended: {self.errors.read()[-2000:]}")
        return json.loads(line)

    def lap(self, steps):
        """Seconds a step: {"wall": ..., "cpu": ...} and the worker's own counters."""
        self.process.stdin.write("%d\n" % steps)
        self.process.stdin.flush()
        return {name: value / steps for name, value in self._answer().items()}

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def interleave(workers, rounds, steps=1, warm=1):
    """Laps of all workers in turn, every round in another order, so that what else the machine does meets all alike.

    Returns a list of rounds, each {worker name: lap}. `steps` is a number or {worker name: number}.
    """
    count = steps if isinstance(steps, dict) else {w.name: steps for w in workers}
    for worker in workers:
        worker.lap(max(1, warm))
    found = []
    for number in range(rounds):
        shift = number % len(workers)
        found.append({w.name: w.lap(count[w.name]) for w in workers[shift:] + workers[:shift]})
        print("  " + "  ".join("{} {:.4g}".format(n, lap["wall"]) for n, lap in found[-1].items()), file=sys.stderr)
    return found


def ratio(rounds, slow, fast, key="wall"):
    """Median, least and largest of `slow` / `fast`, each taken within a round."""
    values = [r[slow][key] / r[fast][key] for r in rounds if slow in r and fast in r]
    return {"median": statistics.median(values), "min": min(values), "max": max(values)} if values else None


def median(rounds, name, key="wall"):
    """The median of one worker's laps."""
    return statistics.median(r[name][key] for r in rounds)


def measured(command):
    """{"wall": s, "cpu": s, "memory": MB, "status"} of one run of a command (bench/_rusage.py)."""
    words = [sys.executable, HERE / "measured.py", *command]
    return json.loads(subprocess.check_output([str(word) for word in words]))


def machine():
    """What the figures depend on: processor, cores, load, system, versions."""
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
    found = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    flags = found.get("flags", "").split()
    known = [f for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f in flags]
    return "{} ({})".format(found.get("model name", platform.processor()), ", ".join(known))


def _version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def save(figure, **data):
    """Write bench/results/<figure>.json."""
    RESULTS.mkdir(exist_ok=True)
    when = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    path = RESULTS / (figure + ".json")
    path.write_text(json.dumps({"figure": figure, "when": when, "machine": machine(), **data}, indent=1) + "\n")
    print("wrote", path, file=sys.stderr)


def arguments(description, rounds):
    """The options that all figures take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds, help="measured rounds (default %d)" % rounds)
    parser.add_argument("--only", default="", help="only the cases whose name contains this")
    return parser


def absent(name, why):
    """Say, once, that a peer is left out."""
    print(f"  without {name}: {why}", file=sys.stderr)
    return {"peer": name, "why": why}
