#!/usr/bin/env python3
"""Milliseconds per batch of AgeNet at batch size 1 and 32: our runner, plain OpenVINO, and other engines."""

import sys
import tempfile

import _baselines
import _harness
import models

# engine of inference_worker.py: the environment that runs it ("": this one)
ENGINES = {
    "openvino": "",
    "openvino_int8": "",
    "runner": "",
    "runner_bf16": "",
    "net": "",
    "onnxruntime": "",
    "opencv": "opencv4",
    "caffe": "kendryte-caffe",
}


def main():
    args = _harness.arguments(__doc__, rounds=7).parse_args()
    pythons, missing = {}, []
    for engine, environment in ENGINES.items():
        python, reason = _baselines.python(environment) if environment else (sys.executable, "")
        if python:
            pythons[engine] = python
        else:
            missing.append(_harness.missing_baseline(environment, reason))
    with tempfile.TemporaryDirectory() as folder:
        stem = models.prepare(folder)["AgeNet"]
        models.write_int8(stem)
        cases = [measure(stem, pythons, args.rounds, *case) for case in ((1, 40), (32, 2))]
    _harness.save("inference", cases=cases, missing=missing)


def measure(stem, pythons, rounds, batch, steps):
    """Measure all engines with one batch size on all cores."""
    print(f"batch {batch}", file=sys.stderr)
    threads = _harness.machine()["cores"]
    variables = {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}
    workers = []
    for engine, python in pythons.items():
        command = [python, _harness.HERE / "inference_worker.py", engine, stem, batch, threads]
        workers.append(_harness.Worker(engine, command, threads, **(variables if engine == "caffe" else {})))
    try:
        laps = _harness.interleave(workers, rounds, steps, warm=max(2, steps // 4))
    finally:
        for worker in workers:
            worker.close()
    milliseconds = {name: 1e3 * _harness.median(laps, name) for name in pythons}
    relative_time = {name: _harness.ratio(laps, name, "openvino") for name in pythons}
    speedup = {name: _harness.ratio(laps, "caffe", name) for name in pythons}
    return {
        "batch": batch,
        "milliseconds": milliseconds,
        "relative to OpenVINO": relative_time,
        "speedup over Caffe": speedup,
        "rounds": laps,
    }


if __name__ == "__main__":
    main()
