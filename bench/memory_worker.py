"""Worker: peak memory of a training run. memory_worker.py SOLVER STEPS [keep | free | checkpointing]

Prints {"peak": MB of the process, "base": MB before the net exists, "loss"}. Runs with real Caffe too (Python 3.6+).
"""

import json
import os
import sys


def peak():
    """Return the largest memory of this process so far, in MB."""
    with open("/proc/self/status") as stream:  # getrusage counts the memory of the program that started this one
        return next(int(line.split()[1]) / 1024 for line in stream if line.startswith("VmHWM"))


def main(solver_file, steps, memory=None):
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import caffe

    caffe.set_mode_cpu()
    if memory is not None:
        import torch  # noqa: F401 - part of the base
    base = peak()
    solver = caffe.SGDSolver(solver_file)
    if memory in ("free", "checkpointing"):
        solver.free_blobs(checkpointing=memory == "checkpointing")
    solver.step(int(steps))
    loss = float(solver.net.blobs[solver.net.outputs[-1]].data)
    json.dump({"peak": peak(), "base": base, "loss": loss}, pipe)


if __name__ == "__main__":
    main(*sys.argv[1:])
