"""Show the differences between two Myriad blobs; the exit status is 0 when they are equal, 1 when they differ."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("first")
    parser.add_argument("second")


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
    return 1 if rows else 0


def _same_bytes(first: str, second: str) -> bool:
    with open(first, "rb") as one, open(second, "rb") as other:
        return one.read() == other.read()
