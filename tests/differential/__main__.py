"""Run random nets with and without the passes and report every difference and every crash.

`nice python tests/differential --settings 1000000` (single layers), `--kind chain` (nets), `--precision bf16`;
`--only 17` runs net 17 here. Nets run in processes of their own, since a fault may end the process.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import random_nets

A_PROCESS = 2000  # nets


def parser():
    """The command line."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--settings", type=int, default=1_000_000, help="layers or chains in all")
    flags.add_argument("--kind", choices=("single", "chain"), default="single")
    flags.add_argument("--precision", choices=("float32", "bf16"), default="float32")
    flags.add_argument("--first", type=int, default=0, help="number of the first net")
    flags.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    flags.add_argument("--only", type=int, help="run this net here and print it")
    flags.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    return flags


def make(kind, number):
    """Net `number` of a kind."""
    return random_nets.single_layers(number) if kind == "single" else random_nets.chain(number)


def work(args):
    """The inner process: prints each net's number before it runs, and what differed."""
    from compare import differences

    for number in range(args.first, args.worker):
        print("at", number, flush=True)
        found = differences(make(args.kind, number), number, args.precision)
        if found:
            print("differ", number, sorted(found), flush=True)


def run(args):
    """Number of faulty nets; prints each."""
    nets = args.settings // (random_nets.LAYERS if args.kind == "single" else 1)
    number, last, faults, began = args.first, args.first + nets, 0, time.monotonic()
    while number < last and time.monotonic() - began < args.seconds:
        end = min(last, number + A_PROCESS)
        number, found = piece(args, number, end)
        faults += found
        print(f"{number - args.first} of {nets} nets, {faults} faults, {time.monotonic() - began:.0f} s", flush=True)
    return faults


def piece(args, first, end):
    """(number of the next net, faults) of one process that runs nets `first` to `end`, or until it crashes."""
    command = [sys.executable, __file__, "--kind", args.kind, "--precision", args.precision]
    command += ["--first", str(first), "--worker", str(end)]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    faults = [line for line in lines if line.startswith("differ")]
    if not done.returncode:
        print(*faults, sep="\n", end="\n" if faults else "")
        return end, len(faults)
    at = int([line for line in lines if line.startswith("at")][-1].split()[1])
    print(*faults, f"crash {at} (status {done.returncode}): {done.stderr[-300:]}", sep="\n")
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
