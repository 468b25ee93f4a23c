#!/usr/bin/env python3
"""Time that a training step waits for its batch: AgeNet with raw and with JPEG-encoded records."""

import sys
import tempfile

import _harness
import nets


def main():
    args = _harness.arguments(__doc__, rounds=5).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cases = [
            measure(folder, args.rounds, records, precision)
            for records in ("raw", "encoded")
            for precision in ("float32", "bf16")
            if args.only in records
        ]
    _harness.save("loader", cases=cases)


def measure(folder, rounds, records, precision):
    """Measure AgeNet on all cores with raw or encoded records."""
    print(f"{records} records, {precision}", file=sys.stderr)
    solver = nets.prepare(folder, "AgeNet", encoded=records == "encoded")
    threads = _harness.machine()["cores"]
    command = [sys.executable, _harness.HERE / "training_worker.py", solver, precision, threads]
    worker = _harness.Worker("step", command, threads)
    try:
        laps = _harness.interleave([worker], rounds, steps=2, warm=3)
    finally:
        worker.close()
    wall, waited = _harness.median(laps, "step"), sum(lap["step"]["waited"] for lap in laps)
    fraction = waited / sum(lap["step"]["wall"] for lap in laps)
    return {"records": records, "precision": precision, "step": wall, "waiting fraction": fraction, "rounds": laps}


if __name__ == "__main__":
    main()
