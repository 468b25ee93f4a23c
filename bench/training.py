#!/usr/bin/env python3
"""Seconds per training step, from LMDB to updated weights: ours, real Caffe, and the convolutions alone."""

import sys
import tempfile

import _baselines
import _harness
import nets
import torch

# (net, threads, steps per lap)
CASES = [
    ("AgeNet", 2, 1),
    ("AgeNet", 1, 1),
    ("GenderNet", 2, 1),
    ("GenderNet", 1, 1),
    ("CIFAR-10 quick", 2, 10),
    ("CIFAR-10 quick", 1, 10),
    ("LeNet", 2, 50),
    ("LeNet", 1, 50),
    ("GoogLeNet", 2, 1),
    ("GoogLeNet", 1, 1),
    ("small ResNet", 2, 1),
    ("small ResNet", 1, 1),
]


def main():
    args = _harness.arguments(__doc__, rounds=7).parse_args()
    caffe, reason = _baselines.python("kendryte-caffe")
    missing = [] if caffe else [_harness.missing_baseline("kendryte-caffe", reason)]
    with tempfile.TemporaryDirectory() as folder:
        cases = []
        for case in CASES:
            if args.only in f"{case[0]}, {case[1]}":
                cases.append(measure(folder, caffe, args.rounds, *case))
                _harness.save("training", cases=cases, missing=missing)  # keep these results if a later case fails


def measure(folder, caffe, rounds, net, threads, steps):
    """Measure one net with `threads` threads in all workers."""
    print(f"{net}, {threads} thread(s)", file=sys.stderr)
    solver = nets.prepare(folder, net)
    workers = [
        _harness.Worker(name, [sys.executable, _harness.HERE / file, solver, precision, threads], threads)
        for precision in precisions()
        for name, file in ((precision, "training_worker.py"), ("convolutions " + precision, "convolution_bound.py"))
    ]
    if caffe:
        python = {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}
        command = [caffe, _harness.HERE / "training_worker.py", solver]
        workers.append(_harness.Worker("caffe", command, threads, **python))
    try:
        laps = _harness.interleave(workers, rounds, steps, warm=max(2, steps // 5))
    finally:
        for worker in workers:
            worker.close()
    return {"net": net, "batch": nets.NETS[net][0], "threads": threads, "rounds": laps, **summarize(laps)}


def precisions():
    """Return float32, and bf16 if the processor has instructions for it: without them it takes ten times as long."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    has_bf16 = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return ("float32", "bf16") if has_bf16 else ("float32",)


def summarize(laps):
    """Return medians, and ratios within rounds."""
    summary = {
        "wall": {n: _harness.median(laps, n) for n in laps[0]},
        "cpu": {n: _harness.median(laps, n, "cpu") for n in laps[0]},
    }
    for precision in precisions():
        bound = "convolutions " + precision
        for key in ("wall", "cpu"):
            summary[f"{precision} over convolutions, {key}"] = _harness.ratio(laps, precision, bound, key)
            summary[f"caffe over {precision}, {key}"] = _harness.ratio(laps, "caffe", precision, key)
        summary[f"caffe over convolutions, {precision}"] = _harness.ratio(laps, "caffe", bound)
        waited = _harness.median(laps, precision, "waited")
        summary[precision + " waiting fraction"] = waited / summary["wall"][precision]
    return summary


if __name__ == "__main__":
    main()
