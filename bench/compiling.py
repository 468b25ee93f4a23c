#!/usr/bin/env python3
"""Seconds and memory from prototxt and caffemodel of AgeNet to a blob: `ncs compile`, and the Model Optimizer of 2021.4.2
with the compiler of its release (in the same process of ours that drives it, with and without its search for a stick).
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _baselines
import _harness

HOUSE = _harness.HERE.parent
NCS = [Path(sys.executable).parent / "ncs", "compile"]
# The compiler as Intel ships it looks for a stick for five seconds first; ours keeps it from that (docs/adr/0005).
PATIENT = "import ncs.myriad.compile_worker as c; c.hide_devices = lambda path: True; c.main()"
COMPILE = f"""
import subprocess, sys
from ncs.myriad import compiler
if sys.argv[3] == "patient":
    run = subprocess.run
    subprocess.run = lambda command, **more: run([sys.executable, "-S", "-c", {PATIENT!r}], **more)
compiler.compile_blob(sys.argv[1], sys.argv[2])
"""


def main():
    args = _harness.arguments(__doc__, rounds=3).parse_args()
    optimizer, why = _baselines.python("model-optimizer")
    with tempfile.TemporaryDirectory() as folder:
        # in a process of its own: what this one holds would count as the memory of every process that it starts
        subprocess.run(
            [sys.executable, "-c", "import models, sys; models.prepare(sys.argv[1])", folder],
            check=True,
            cwd=_harness.HERE,
        )
        stem = os.path.join(folder, "AgeNet")
        contestants = {name: steps for name, steps in commands(stem, folder, optimizer).items() if args.only in name}
        rounds = [{name: lap(steps) for name, steps in contestants.items()} for _ in range(args.rounds + 1)][1:]
    cases = [
        {"what": name, **{key: statistics.median(found[name][key] for found in rounds) for key in rounds[0][name]}}
        for name in contestants
    ]
    ratios = {key: {name: _harness.ratio(rounds, name, OURS, key) for name in contestants if name != OURS}
              for key in ("wall", "cpu", "memory")}  # fmt: skip
    _harness.save(
        "compiling", cases=cases, ratios=ratios, missing=[] if optimizer else [_harness.absent("model-optimizer", why)]
    )


OURS = "ncs compile --no-ir"


def commands(stem, folder, optimizer):
    """Contestant -> [(command, environment)], run one after the other."""
    files = [stem + ".prototxt", "-w", stem + ".caffemodel", "-o", os.path.join(folder, "ours")]
    found = {
        OURS: [([*NCS, *files, "--no-ir"], {})],
        "ncs compile (with the IR for CPU, GPU and NPU)": [([*NCS, *files], {})],
    }
    if optimizer:
        for name, kind, search in (
            ("Model Optimizer, then its compiler", "cpp", "patient"),
            ("Model Optimizer, then its compiler without the device search", "cpp", "quick"),
            ("Model Optimizer on Python's protobuf, then its compiler", "python", "patient"),
        ):
            convert = [Path(optimizer).parent / "mo", "--input_model", stem + ".caffemodel", "--input_proto", stem + ".prototxt",
                       "--output_dir", folder, "--model_name", "mo", "--data_type", "FP16"]  # fmt: skip
            build = [
                sys.executable,
                "-c",
                COMPILE,
                os.path.join(folder, "mo.xml"),
                os.path.join(folder, "mo.blob"),
                search,
            ]
            found[name] = [(convert, {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": kind}), (build, {})]
    return found


def lap(steps):
    """Wall and processor seconds of commands one after the other, and MB of the largest process among them and their children."""
    wall = cpu = memory = 0.0
    for command, environment in steps:
        began = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ, **environment),
        )
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit("%s ended with status %d" % (command[0], status))
        wall += time.perf_counter() - began
        cpu += usage.ru_utime + usage.ru_stime
        memory = max(memory, usage.ru_maxrss / 1024)
    print(f"  {Path(steps[0][0][0]).name}: {wall:.2f} s, processor {cpu:.2f} s, {memory:.0f} MB", file=sys.stderr)
    return {"wall": wall, "cpu": cpu, "memory": memory}


if __name__ == "__main__":
    main()
