#!/usr/bin/env python3
"""Time and memory to compile AgeNet from prototxt and caffemodel to a blob.

Compares `ncs compile` with the Model Optimizer of OpenVINO 2021.4.2 and its compiler, which runs in the same driver
process as ours, with and without its search for a stick.
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

NCS = [Path(sys.executable).parent / "ncs", "compile"]
# The unmodified compiler searches for a stick for five seconds; `ncs compile` prevents that (docs/adr/0005).
WITH_SEARCH = "import ncs.myriad.compile_worker as c; c.hide_devices = lambda path: True; c.main()"
COMPILE = f"""
import subprocess, sys
from ncs.myriad import compiler
if sys.argv[3] == "with search":
    start = subprocess.Popen
    subprocess.Popen = lambda command, **options: start([sys.executable, "-S", "-c", {WITH_SEARCH!r}], **options)
compiler.compile_blob(sys.argv[1], sys.argv[2])
"""


def main():
    args = _harness.arguments(__doc__, rounds=3).parse_args()
    optimizer, reason = _baselines.python("model-optimizer")
    with tempfile.TemporaryDirectory() as folder:
        # in its own process, because the memory of this one counts as memory of its child processes
        subprocess.run(
            [sys.executable, "-c", "import models, sys; models.prepare(sys.argv[1])", folder],
            check=True,
            cwd=_harness.HERE,
        )
        stem = os.path.join(folder, "AgeNet")
        programs = {name: steps for name, steps in commands(stem, folder, optimizer).items() if args.only in name}
        rounds = [{name: lap(steps) for name, steps in programs.items()} for _ in range(args.rounds + 1)][1:]
    cases = [
        {"program": name, **{key: statistics.median(laps[name][key] for laps in rounds) for key in rounds[0][name]}}
        for name in programs
    ]
    ratios = {
        key: {name: _harness.ratio(rounds, name, NCS_COMPILE, key) for name in programs if name != NCS_COMPILE}
        for key in ("wall", "cpu", "memory")
    }
    missing = [] if optimizer else [_harness.missing_baseline("model-optimizer", reason)]
    _harness.save("compiling", cases=cases, ratios=ratios, missing=missing)


NCS_COMPILE = "ncs compile --no-ir"


def commands(stem, folder, optimizer):
    """Return program -> [(command, environment)], to be run one after another."""
    files = [stem + ".prototxt", "-w", stem + ".caffemodel", "-o", os.path.join(folder, "ncs")]
    programs = {
        NCS_COMPILE: [([*NCS, *files, "--no-ir"], {})],
        "ncs compile (with the IR for CPU, GPU and NPU)": [([*NCS, *files], {})],
    }
    if optimizer:
        for name, protobuf, search in (
            ("Model Optimizer and its compiler", "cpp", "with search"),
            ("Model Optimizer and its compiler without the search", "cpp", "without search"),
            ("Model Optimizer with Python's protobuf and its compiler", "python", "with search"),
        ):
            convert = [
                *(Path(optimizer).parent / "mo", "--input_model", stem + ".caffemodel"),
                *("--input_proto", stem + ".prototxt", "--output_dir", folder, "--model_name", "mo"),
                *("--data_type", "FP16"),
            ]
            build = [
                sys.executable,
                "-c",
                COMPILE,
                os.path.join(folder, "mo.xml"),
                os.path.join(folder, "mo.blob"),
                search,
            ]
            programs[name] = [(convert, {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": protobuf}), (build, {})]
    return programs


def lap(steps):
    """Return the total wall and CPU seconds of the commands, and the memory of the largest process in MB."""
    wall = cpu = memory = 0.0
    for command, environment in steps:
        variables = {**os.environ, **environment}
        variables.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
        start = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=variables,
        )
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{command[0]} ended with status {status}")
        wall += time.perf_counter() - start
        cpu += usage.ru_utime + usage.ru_stime
        memory = max(memory, usage.ru_maxrss / 1024)
    print(f"  {Path(steps[0][0][0]).name}: {wall:.2f} s, CPU {cpu:.2f} s, {memory:.0f} MB", file=sys.stderr)
    return {"wall": wall, "cpu": cpu, "memory": memory}


if __name__ == "__main__":
    main()
