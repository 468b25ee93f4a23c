#!/usr/bin/env python3
"""Time of an AgeNet training step per layer and per PyTorch operator, in float32 and bf16."""

import collections
import sys
import tempfile
import time

import _harness
import nets

STEPS = 4


def main():
    _harness.arguments(__doc__, rounds=1).parse_args()
    import caffe

    cases = []
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("float32", "bf16"):
            solver = caffe.SGDSolver(str(nets.prepare(folder, "AgeNet")))
            solver.net.set_precision(precision)
            solver.step(2)
            case = {"precision": precision, "operators": operators(solver), **layers(solver)}
            cases.append(case)
            percent = 100 * case["fraction of the step"]
            print(f"  {precision}: the layers take {percent:.1f} % of the step", file=sys.stderr)
    _harness.save("layer_times", cases=cases)


def operators(solver):
    """Return {operator: fraction of the CPU time} of the 12 largest operators."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as record:
        solver.step(STEPS)
    rows = {row.key: row.self_cpu_time_total for row in record.key_averages()}
    total = sum(rows.values())
    largest = sorted(rows, key=rows.get, reverse=True)[:12]
    return {name: rows[name] / total for name in largest}


def layers(solver, clock=time.perf_counter):
    """Return {layer: (forward, backward)} in milliseconds per step, and their total as a fraction of the step."""
    update, times = _update_time(solver, clock), collections.defaultdict(lambda: [0.0, 0.0])
    for node in solver.net.nodes:
        runner = node.fast or node.layer
        for index, method in enumerate(("forward_blobs", "backward_blobs")):
            setattr(runner, method, _timed(getattr(runner, method), times[node.layer.name], index, clock))
    start = clock()
    solver.step(STEPS)
    total = clock() - start
    return {
        "layers": {name: [1e3 * seconds / STEPS for seconds in pair] for name, pair in times.items()},
        "update": 1e3 * update,
        "fraction of the step": sum(map(sum, times.values())) / total,
    }


def _timed(method, sums, index, clock):
    def run(*args):
        start = clock()
        method(*args)
        sums[index] += clock() - start

    return run


def _update_time(solver, clock):
    """Return the seconds of one weight update, after its diffs are computed."""
    solver._forward_backward()
    start = clock()
    solver.apply_update()
    return clock() - start


if __name__ == "__main__":
    main()
