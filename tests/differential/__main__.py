"""Run random nets with and without the passes and report every difference and every crash.

`nice python tests/differential --settings 1000000` (single layers), `--kind chain` (nets), `--precision bf16`;
`--guarded` also notices writes outside the tensors (guard.c; Linux, a C compiler), `--only 17` runs net 17 in this
process. All others run in child processes, since a failure may crash the process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import guard
import random_nets

NETS_PER_PROCESS = 2000


def parser():
    """Return the argument parser."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--settings", type=int, default=1_000_000, help="total number of layers or chains")
    flags.add_argument("--kind", choices=("single", "chain"), default="single")
    flags.add_argument("--precision", choices=("float32", "bf16"), default="float32")
    flags.add_argument("--first", type=int, default=0, help="number of the first net")
    flags.add_argument("--guarded", action="store_true", help="notice writes outside the tensors; slower")
    flags.add_argument("--seconds", type=float, default=float("inf"), help="time limit")
    flags.add_argument("--only", type=int, help="run this net in this process and print it")
    flags.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    return flags


def make(kind, number):
    """Return net `number` of a kind."""
    return random_nets.single_layers(number) if kind == "single" else random_nets.chain(number)


def work(args):
    """In the child process: print the number of each net before it runs, and its differences."""
    from compare import differences

    for number in range(args.first, args.worker):
        print("at", number, flush=True)
        found = differences(make(args.kind, number), number, args.precision)
        if found:
            print("differ", number, sorted(found), flush=True)


def run(args):
    """Print each faulty net; return their number."""
    nets = args.settings // (random_nets.LAYERS if args.kind == "single" else 1)
    number, last, faults, start = args.first, args.first + nets, 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        environment = guard.guarded(folder) if args.guarded else None
        while number < last and time.monotonic() - start < args.seconds:
            end = min(last, number + NETS_PER_PROCESS)
            number, found = run_process(args, number, end, environment)
            faults += found
            seconds = time.monotonic() - start
            print(f"{number - args.first} of {nets} nets, {faults} faults, {seconds:.0f} s", flush=True)
    return faults


def run_process(args, first, end, environment=None):
    """Run nets `first` to `end` in one process, or until it crashes; return the next number and the faults."""
    command = [sys.executable, __file__, "--kind", args.kind, "--precision", args.precision]
    command += ["--first", str(first), "--worker", str(end)]
    process = subprocess.run(command, capture_output=True, text=True, env=environment)
    lines = process.stdout.splitlines()
    faults = [line for line in lines if line.startswith("differ")]
    if not process.returncode:
        print(*faults, sep="\n", end="\n" if faults else "")
        return end, len(faults)
    at = int([line for line in lines if line.startswith("at")][-1].split()[1])
    print(*faults, f"crash {at} (status {process.returncode}): {process.stderr[-300:]}", sep="\n")
    return at + 1, len(faults) + 1


def main():
    args = parser().parse_args()
    if args.worker is not None:
        work(args)
    elif args.only is not None:
        from compare import differences

        param = make(args.kind, args.only)
        print(param)
        print(differences(param, args.only, args.precision))
    else:
        sys.exit(bool(run(args)))


if __name__ == "__main__":
    main()
