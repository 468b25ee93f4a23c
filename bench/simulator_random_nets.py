"""Compile small random nets for both chips and print every blob whose simulated output differs from its net's.

PYTHONPATH=src python bench/simulator_random_nets.py [FIRST_SEED [COUNT]]
"""

from __future__ import annotations

import os
import sys
import tempfile

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.join(os.path.dirname(HERE), "tests")
sys.path[:0] = [TESTS, os.path.join(TESTS, "ncs", "simulator")]

import random_nets  # noqa: E402

from caffe.convert.onnx_export import export_net  # noqa: E402
from ncs.myriad.compiler import CompileError, Job, compile_blobs  # noqa: E402
from ncs.simulator import Simulator  # noqa: E402

CASES = (("MA2480", None), ("MA2480", 1), ("MA2450", None))


def main() -> None:
    """Print the differing blobs and the totals."""
    first, count = (int(word) for word in (sys.argv[1:] + ["0", "1000"][len(sys.argv) - 1 :])[:2])
    totals = {"nets": 0, "blobs": 0, "refused": 0, "wrong": 0}
    for begin in range(first, first + count, 50):
        with tempfile.TemporaryDirectory(prefix="simulator-") as folder:
            compare(range(begin, min(begin + 50, first + count)), folder, totals)
        print(totals, flush=True)


def compare(seeds: range, folder: str, totals: dict[str, int]) -> None:
    """Compile and simulate the nets of the given seeds and add to `totals`."""
    nets, jobs = {}, []
    for seed in seeds:
        net = random_nets.random_net(seed)
        if net is None:
            continue
        nets[seed] = net
        path = os.path.join(folder, f"{seed}.onnx")
        export_net(net[0], path)
        jobs += [(seed, Job(path, os.path.join(folder, f"{seed}_{c}_{s}.blob"), c, s)) for c, s in CASES]
    totals["nets"] += len(nets)
    try:
        compile_blobs([job for _, job in jobs])
    except CompileError as error:
        print(error, flush=True)
    for seed, job in jobs:
        if not os.path.isfile(job.output):
            totals["refused"] += 1
            continue
        _, image, expected, text = nets[seed]
        simulator = Simulator.from_file(job.output)
        result = next(iter(simulator.run({"data": image}).values()))
        error = np.abs(result.ravel() - expected.ravel()).max() / max(0.3, np.abs(expected).max())
        totals["blobs"] += 1
        if not error < 1e-2 or simulator.findings():
            totals["wrong"] += 1
            print(f"seed {seed}, {job.platform}, {job.shaves} cores: error {error:.3g}; {simulator.findings()}\n{text}")


if __name__ == "__main__":
    main()
