#!/usr/bin/env python3
"""Peak memory of training: ours, ours with gradient checkpointing, and real Caffe; one process each."""

import json
import os
import subprocess
import sys
import tempfile

import _baselines
import _harness
import nets

NETS = ("AgeNet", "GoogLeNet", "ResNet-50", "VGG-16")
STEPS = 2  # everything is allocated by then
GOAL = 0.7


def main():
    args = _harness.arguments(__doc__, rounds=1).parse_args()
    caffe, reason = _baselines.python("kendryte-caffe")
    missing = [] if caffe else [_harness.missing_baseline("kendryte-caffe", reason)]
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        for net in NETS:
            if args.only in net:
                cases.append(measure(folder, net, caffe))
                _harness.save("memory", goal=GOAL, cases=cases, missing=missing)  # kept if a later case fails


def measure(folder, net, caffe):
    """Measure one net in MB of the whole process."""
    solver = str(nets.prepare(folder, net))
    worker = [str(_harness.HERE / "memory_worker.py"), solver, str(STEPS)]
    peaks = {
        "ours": run([sys.executable, *worker, "free"]),
        "with gradient checkpointing": run([sys.executable, *worker, "checkpointing"]),
    }
    if caffe:
        peaks["real Caffe"] = run([caffe, *worker], PYTHONPATH="", PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="python")
    print(f"  {net}: " + ", ".join(f"{name} {peak:.0f} MB" for name, peak in peaks.items()), file=sys.stderr)
    return {"net": net, "batch": nets.NETS[net][0], "peak, MB": peaks}


def run(command, **environment):
    """Return the peak that the worker reports."""
    variables = dict(os.environ, GLOG_minloglevel="2", **environment)
    output = subprocess.run(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return json.loads(output.stdout)["peak"]


if __name__ == "__main__":
    main()
