"""Show the differences between two Myriad blobs; the exit status is 0 when they are equal, 1 when they differ.

With --run, both are simulated on the same input and the differences of their outputs are printed; they do not affect
the exit status.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("first")
    parser.add_argument("second")
    parser.add_argument(
        "--run",
        metavar="FILE.npy",
        nargs="?",
        const="",
        help="simulate both blobs on this input (default: seeded noise)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command and return the exit status."""
    from ncs.myriad.blob import read_blob
    from ncs.myriad.report import differences

    first, second = read_blob(args.first), read_blob(args.second)
    rows = differences(first, second)
    for row in rows:
        print(row)
    if not rows and not _same_bytes(args.first, args.second):
        rows = ["same structure, different constants"]
        print(rows[0])
    if args.run is not None:
        compare_runs(args)
    return 1 if rows else 0


def _same_bytes(first: str, second: str) -> bool:
    with open(first, "rb") as one, open(second, "rb") as other:
        return one.read() == other.read()


def compare_runs(args: argparse.Namespace) -> None:
    """Simulate both blobs and print the maximum difference of every output."""
    import numpy as np

    from ncs.cli import _images
    from ncs.errors import NcsError

    results = []
    for path in (args.first, args.second):
        simulator, _ = _images.open_simulator(argparse.Namespace(blob=path))
        results.append(simulator.run(_images.load_inputs(args, simulator, None, args.run or None)))
    if [value.shape for value in results[0].values()] != [value.shape for value in results[1].values()]:
        raise NcsError(f"{args.first} and {args.second} have outputs of different shapes, which cannot be compared")
    for (name, one), other in zip(results[0].items(), results[1].values()):
        difference, maximum = np.abs(one - other).max(), np.abs(one).max()
        print(f"simulated: {name}: max difference {difference:.4g}, max value {maximum:.4g}")
