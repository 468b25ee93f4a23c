#!/usr/bin/env python3
"""Where a training step of AgeNet spends its time: shares of the operators, float32 and bf16."""

import sys
import tempfile

import harness
import nets


def main():
    harness.arguments(__doc__, rounds=1).parse_args()
    import caffe

    cases = []
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("float32", "bf16"):
            solver = caffe.SGDSolver(str(nets.prepare(folder, "AgeNet")))
            solver.net.set_precision(precision)
            cases.append({"precision": precision, "share": shares(solver)})
    harness.save("shares", cases=cases)


def shares(solver, steps=3):
    """{operator: share of the processor's time} of the largest ones."""
    from torch.profiler import ProfilerActivity, profile

    solver.step(2)
    with profile(activities=[ProfilerActivity.CPU]) as record:
        solver.step(steps)
    rows = {row.key: row.self_cpu_time_total for row in record.key_averages()}
    total = sum(rows.values())
    largest = sorted(rows, key=rows.get, reverse=True)[:12]
    for name in largest:
        print("  %-45s %5.1f %%" % (name, 100 * rows[name] / total), file=sys.stderr)
    return {name: rows[name] / total for name in largest}


if __name__ == "__main__":
    main()
