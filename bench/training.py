#!/usr/bin/env python3
"""Seconds a training step, from LMDB to updated weights: ours, real Caffe's, and the floor of convolutions alone."""

import sys
import tempfile

import _baselines
import _harness
from support import small_solvers

# (net, threads, steps a lap)
CASES = [
    ("AgeNet", 2, 1), ("AgeNet", 1, 1), ("GenderNet", 2, 1), ("GenderNet", 1, 1),
    ("CIFAR-10 quick", 2, 10), ("CIFAR-10 quick", 1, 10), ("LeNet", 2, 50), ("LeNet", 1, 50),
    ("GoogLeNet", 2, 1), ("GoogLeNet", 1, 1), ("small ResNet", 2, 1), ("small ResNet", 1, 1),
]  # fmt: skip


def main():
    args = _harness.arguments(__doc__, rounds=7).parse_args()
    caffe, why = _baselines.python("kendryte-caffe")
    missing = [] if caffe else [_harness.absent("kendryte-caffe", why)]
    with tempfile.TemporaryDirectory() as folder:
        cases = []
        for case in CASES:
            if args.only in "%s, %d" % case[:2]:
                cases.append(measure(folder, caffe, args.rounds, *case))
                _harness.save("training", cases=cases, missing=missing)  # a case that fails later costs no other


def measure(folder, caffe, rounds, net, threads, steps):
    """One net on so many threads: all workers side by side, and what follows from their laps."""
    print("%s, %d thread(s)" % (net, threads), file=sys.stderr)
    solver = small_solvers.prepare(folder, net)
    workers = [
        _harness.Worker(name, [sys.executable, _harness.HERE / file, solver, precision, threads], threads)
        for name, file, precision in (
            ("float32", "trainer.py", "float32"), ("bf16", "trainer.py", "bf16"),
            ("floor float32", "floor.py", "float32"), ("floor bf16", "floor.py", "bf16"),
        )
    ]  # fmt: skip
    if caffe:
        python = {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}
        workers.append(_harness.Worker("caffe", [caffe, _harness.HERE / "trainer.py", solver], threads, **python))
    try:
        laps = _harness.interleave(workers, rounds, steps, warm=max(2, steps // 5))
    finally:
        for worker in workers:
            worker.close()
    return {"net": net, "batch": small_solvers.NETS[net][0], "threads": threads, "rounds": laps, **conclusions(laps)}


def conclusions(laps):
    """Medians and ratios within rounds."""
    found = {
        "wall": {n: _harness.median(laps, n) for n in laps[0]},
        "cpu": {n: _harness.median(laps, n, "cpu") for n in laps[0]},
    }
    for kind in ("float32", "bf16"):
        for key in ("wall", "cpu"):
            found[f"{kind} over floor, {key}"] = _harness.ratio(laps, kind, "floor " + kind, key)
            found[f"caffe over {kind}, {key}"] = _harness.ratio(laps, "caffe", kind, key)
        found[f"caffe over floor, {kind}"] = _harness.ratio(laps, "caffe", "floor " + kind)
        found[kind + " waited share"] = _harness.median(laps, kind, "waited") / found["wall"][kind]
    return found


if __name__ == "__main__":
    main()
