#!/usr/bin/env python3
"""How long a training step stands still for its batch: AgeNet from raw and from JPEG-encoded records."""

import sys
import tempfile

import _harness
from support import small_solvers


def main():
    args = _harness.arguments(__doc__, rounds=5).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cases = [
            measure(folder, args.rounds, records, precision)
            for records in ("raw", "encoded") for precision in ("float32", "bf16") if args.only in records
        ]  # fmt: skip
    _harness.save("loader", cases=cases)


def measure(folder, rounds, records, precision):
    """AgeNet, all cores, records raw or encoded."""
    print(f"{records} records, {precision}", file=sys.stderr)
    solver = small_solvers.prepare(folder, "AgeNet", encoded=records == "encoded")
    threads = _harness.machine()["cores"]
    command = [sys.executable, _harness.HERE / "trainer.py", solver, precision, threads]
    worker = _harness.Worker("step", command, threads)
    try:
        laps = _harness.interleave([worker], rounds, steps=2, warm=3)
    finally:
        worker.close()
    wall, waited = _harness.median(laps, "step"), sum(lap["step"]["waited"] for lap in laps)
    share = waited / sum(lap["step"]["wall"] for lap in laps)
    return {"records": records, "precision": precision, "step": wall, "waited share": share, "rounds": laps}


if __name__ == "__main__":
    main()
