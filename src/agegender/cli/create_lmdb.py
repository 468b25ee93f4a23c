"""Pack the lists of data/DEF into four LMDBs: data/lmdb/{age,gender}_{train,test}_lmdb.

Images are resized to 227x227 and shuffled by a seed, so equal lists give equal records. Each LMDB is replaced
atomically. Images that cannot be read are reported with their lines and left out; the exit status is then 1, unless
--allow_broken is given.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from agegender.errors import AgeGenderError

PARTS = ("age_train", "age_test", "gender_train", "gender_test")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", metavar="DIR", default="data", help="reads DIR/DEF, writes DIR/lmdb (default: data)")
    add("--root", metavar="DIR/", default="", help="prefix of every path of the lists (default: none)")
    add("--only", metavar="PART", choices=PARTS, action="append", help="one of " + ", ".join(PARTS))
    add("--size", type=int, default=227, metavar="N", help="height and width of a record (227)")
    add("--seed", type=int, default=1701, help="seed of the shuffle (1701)")
    add("--workers", type=int, default=0, metavar="N", help="threads (default: one per core)")
    add("--allow_broken", action="store_true", help="exit status 0 even if images were left out")


def run(args: argparse.Namespace) -> int:
    from caffe.data.convert import imageset

    parts = args.only or PARTS
    _check(args, parts)
    skipped = 0
    for part in parts:
        target = lmdb_path(args.data, part)
        summary = imageset.convert(
            args.root,
            list_path(args.data, part),
            target,
            imageset.RecordFormat(size=(args.size, args.size)),
            shuffle=True,
            seed=args.seed,
            overwrite=True,
            workers=args.workers,
        )
        left_out = f", {len(summary.skipped)} left out" if summary.skipped else ""
        print(f"{target}: {summary.written} records{left_out}")
        skipped += len(summary.skipped)
    print("Next: ./create_mean.sh", file=sys.stderr)
    return 1 if skipped and not args.allow_broken else 0


def list_path(data: str, part: str) -> str:
    """Return the path of the list `part` (age_train …) below the directory `data`."""
    return os.path.join(data, "DEF", part + ".txt")


def lmdb_path(data: str, part: str) -> str:
    """Return the path of the LMDB `part` below the directory `data`."""
    return os.path.join(data, "lmdb", part + "_lmdb")


def _check(args: argparse.Namespace, parts: Sequence[str]) -> None:
    """Report wrong options and all missing lists before the first LMDB is written."""
    if args.size < 1:
        raise AgeGenderError(f"--size: expected a positive number of pixels, received {args.size}")
    missing = [path for path in (list_path(args.data, part) for part in parts) if not os.path.isfile(path)]
    if missing:
        raise AgeGenderError(f"no {', no '.join(missing)}; ./build_dataset.py writes the lists")
