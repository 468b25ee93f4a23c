#!/usr/bin/env python3
"""Training step of each net compared with its convolutions alone, in float32, with the peak memory."""

import json
import subprocess
import sys
import tempfile

import _harness
import nets

# net: steps per lap
NETS = {
    "LeNet": 30,
    "CIFAR-10 full": 5,
    "SqueezeNet": 1,
    "MobileNet": 1,
    "AgeNet": 1,
    "GoogLeNet": 1,
    "ResNet-50": 1,
    "VGG-16": 1,
}
GOAL = 1.1


def main():
    parser = _harness.arguments(__doc__, rounds=7)
    parser.add_argument("--threads", type=int, action="append", help="1 or 2; several times for several (default both)")
    args = parser.parse_args()
    cases = []
    with tempfile.TemporaryDirectory() as folder:
        for net, steps in NETS.items():
            for threads in args.threads or (2, 1):
                if args.only in f"{net}, {threads}":
                    cases.append(measure(folder, args.rounds, net, threads, steps))
                    _harness.save("training_floor", goal=GOAL, cases=cases)  # kept if a later case fails
    for case in cases:
        print(line(case))


def measure(folder, rounds, net, threads, steps):
    """Measure one net: our step and the convolutions alone, in turn."""
    print(f"{net}, {threads} thread(s)", file=sys.stderr)
    solver = nets.prepare(folder, net)
    workers = [
        _harness.Worker(name, [sys.executable, _harness.HERE / file, solver, "float32", threads], threads)
        for name, file in (("step", "training_worker.py"), ("convolutions", "convolution_bound.py"))
    ]
    try:
        laps = _harness.interleave(workers, rounds, steps, warm=max(2, steps // 5))
        memory = workers[0].peak_memory()
    finally:
        for worker in workers:
            worker.close()
    profile = [sys.executable, _harness.HERE / "layer_types.py", solver, str(threads)]
    return {
        "net": net,
        "batch": nets.NETS[net][0],
        "threads": threads,
        "milliseconds": {name: 1e3 * _harness.median(laps, name) for name in laps[0]},
        "step over convolutions, wall": _harness.ratio(laps, "step", "convolutions"),
        "step over convolutions, cpu": _harness.ratio(laps, "step", "convolutions", "cpu"),
        "memory, MB": memory,
        "CPU milliseconds by layer type": json.loads(subprocess.check_output(profile).splitlines()[-1]),
        "rounds": laps,
    }


def line(case):
    """Return one line for the terminal."""
    ms, wall, cpu = case["milliseconds"], *(case[f"step over convolutions, {key}"] for key in ("wall", "cpu"))
    return (
        f"{case['net']:14} {case['threads']} thread(s): step {ms['step']:8.1f} ms, "
        f"convolutions {ms['convolutions']:8.1f} ms, ratio {wall['median']:.2f} ({wall['min']:.2f} to "
        f"{wall['max']:.2f}), CPU {cpu['median']:.2f}, goal {GOAL}; {case['memory, MB'] or 0:.0f} MB"
    )


if __name__ == "__main__":
    main()
