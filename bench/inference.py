#!/usr/bin/env python3
"""Milliseconds an answer of AgeNet at batch 1 and 32: our runner, bare OpenVINO, and what else reads the net."""

import sys
import tempfile

import _baselines
import _harness
import models

# engine of answerer.py: the environment whose Python runs it ("": this one)
ENGINES = {
    "openvino": "", "runner": "", "runner_bf16": "", "net": "", "onnxruntime": "", "opencv": "opencv4",
    "caffe": "kendryte-caffe",
}  # fmt: skip


def main():
    args = _harness.arguments(__doc__, rounds=7).parse_args()
    pythons, missing = {}, []
    for engine, environment in ENGINES.items():
        python, why = _baselines.python(environment) if environment else (sys.executable, "")
        if python:
            pythons[engine] = python
        else:
            missing.append(_harness.absent(environment, why))
    with tempfile.TemporaryDirectory() as folder:
        stem = models.prepare(folder)["AgeNet"]
        cases = [measure(stem, pythons, args.rounds, *case) for case in ((1, 40), (32, 2))]
    _harness.save("inference", cases=cases, missing=missing)


def measure(stem, pythons, rounds, batch, steps):
    """All engines on one batch size with all cores."""
    print("batch %d" % batch, file=sys.stderr)
    threads = _harness.machine()["cores"]
    setting = {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}
    workers = []
    for engine, python in pythons.items():
        command = [python, _harness.HERE / "answerer.py", engine, stem, batch, threads]
        workers.append(_harness.Worker(engine, command, threads, **(setting if engine == "caffe" else {})))
    try:
        laps = _harness.interleave(workers, rounds, steps, warm=max(2, steps // 4))
    finally:
        for worker in workers:
            worker.close()
    milliseconds = {name: 1e3 * _harness.median(laps, name) for name in pythons}
    over = {name: _harness.ratio(laps, name, "openvino") for name in pythons}
    times = {name: _harness.ratio(laps, "caffe", name) for name in pythons}
    return {
        "batch": batch,
        "milliseconds": milliseconds,
        "over bare OpenVINO": over,
        "times real Caffe": times,
        "rounds": laps,
    }


if __name__ == "__main__":
    main()
