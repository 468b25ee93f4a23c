"""Tell how two Myriad blobs differ; the exit status is 0 when they hold the same, 1 when they differ.

With --run both are simulated on the same input, and how far their outputs differ is printed; it does not change the status.
"""

from __future__ import annotations


def add_arguments(parser):
    parser.add_argument("first")
    parser.add_argument("second")
    parser.add_argument(
        "--run", metavar="FILE.npy", nargs="?", const="", help="simulate both on it (default: seeded noise)"
    )


def run(args):
    from ncs.myriad.blob import read_blob
    from ncs.myriad.report import differences

    first, second = read_blob(args.first), read_blob(args.second)
    rows = differences(first, second)
    for row in rows:
        print(row)
    if not rows and not _same_bytes(args.first, args.second):
        rows = ["the same structure with other constants"]
        print(rows[0])
    if args.run is not None:
        compare_runs(args)
    return 1 if rows else 0


def _same_bytes(first, second):
    with open(first, "rb") as one, open(second, "rb") as other:
        return one.read() == other.read()


def compare_runs(args):
    """Print the greatest difference of every output, from two simulations."""
    import argparse

    import numpy as np

    from ncs.cli import _images
    from ncs.errors import NcsError

    results = []
    for path in (args.first, args.second):
        simulator, _ = _images.opened(argparse.Namespace(blob=path))
        results.append(simulator.run(_images.inputs(args, simulator, None, args.run or None)))
    if [value.shape for value in results[0].values()] != [value.shape for value in results[1].values()]:
        raise NcsError(f"{args.first} and {args.second} have outputs of different shapes: nothing to compare")
    for (name, one), other in zip(results[0].items(), results[1].values()):
        difference, greatest = np.abs(one - other).max(), np.abs(one).max()
        print(f"simulated: {name}: greatest difference {difference:.4g}, greatest value {greatest:.4g}")
