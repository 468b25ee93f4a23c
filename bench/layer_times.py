#!/usr/bin/env python3
"""Where a training step of AgeNet spends its time: by layer and by PyTorch's operators, float32 and bf16."""

import collections
import sys
import tempfile
import time

import _harness
from support import small_solvers

STEPS = 4


def main():
    _harness.arguments(__doc__, rounds=1).parse_args()
    import caffe

    cases = []
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("float32", "bf16"):
            solver = caffe.SGDSolver(str(small_solvers.prepare(folder, "AgeNet")))
            solver.net.set_precision(precision)
            solver.step(2)
            case = {"precision": precision, "share": operators(solver), **layers(solver)}
            cases.append(case)
            print(
                "  {}: the layers take {:.1f} % of the step".format(precision, 100 * case["of the step"]),
                file=sys.stderr,
            )
    _harness.save("shares", cases=cases)


def operators(solver):
    """{operator: share of the processor's time} of the largest ones."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as record:
        solver.step(STEPS)
    rows = {row.key: row.self_cpu_time_total for row in record.key_averages()}
    total = sum(rows.values())
    largest = sorted(rows, key=rows.get, reverse=True)[:12]
    return {name: rows[name] / total for name in largest}


def layers(solver):
    """{layer: (forward, backward)} in milliseconds a step, and what share of the step all of them are."""
    update, spent = _update(solver), collections.defaultdict(lambda: [0.0, 0.0])
    for node in solver.net._nodes:
        runner = node.fast or node.layer
        for index, method in enumerate(("forward_blobs", "backward_blobs")):
            setattr(runner, method, _timed(getattr(runner, method), spent[node.layer.name], index))
    began = time.perf_counter()
    solver.step(STEPS)
    whole = time.perf_counter() - began
    return {
        "layers": {name: [1e3 * part / STEPS for part in parts] for name, parts in spent.items()},
        "update": 1e3 * update,
        "of the step": sum(map(sum, spent.values())) / whole,
    }


def _timed(method, sums, index):
    def run(*args):
        began = time.perf_counter()
        method(*args)
        sums[index] += time.perf_counter() - began

    return run


def _update(solver):
    """Seconds of one update of the weights, its diffs made before."""
    solver._forward_backward()
    began = time.perf_counter()
    solver.apply_update()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
