"""Pack the lists of data/DEF into four LMDBs: data/lmdb/{age,gender}_{train,test}_lmdb.

Pictures are brought to 227x227 and shuffled by a seed, so that the same lists give the same records. Each
database appears whole or not at all and takes the place of the old one. Pictures that cannot be read are
named with their lines and left out; the exit status is then 1, unless --allow_broken is given.
"""

import os
import sys

from agegender.errors import AgeGenderError

PARTS = ("age_train", "age_test", "gender_train", "gender_test")


def add_arguments(parser):
    add = parser.add_argument
    add("--data", metavar="DIR", default="data", help="holds DEF, gets lmdb (default: data)")
    add("--root", metavar="DIR/", default="", help="put before every path of the lists (default: nothing)")
    add("--only", metavar="PART", choices=PARTS, action="append", help="one of " + ", ".join(PARTS))
    add("--size", type=int, default=227, metavar="N", help="height and width of a record (227)")
    add("--seed", type=int, default=1701, help="of the shuffling (1701)")
    add("--workers", type=int, default=0, metavar="N", help="threads (default: one a core)")
    add("--allow_broken", action="store_true", help="exit status 0 although pictures were left out")


def run(args):
    from caffe.data import convert_imageset

    parts = args.only or PARTS
    _check(args, parts)
    skipped = 0
    for part in parts:
        target = lmdb_path(args.data, part)
        outcome = convert_imageset.convert(
            args.root,
            list_path(args.data, part),
            target,
            convert_imageset.RecordFormat(size=(args.size, args.size)),
            shuffle=True,
            seed=args.seed,
            overwrite=True,
            workers=args.workers,
        )
        left_out = ", %d left out" % len(outcome.skipped) if outcome.skipped else ""
        print("%s: %d records%s" % (target, outcome.written, left_out))
        skipped += len(outcome.skipped)
    print("Next: ./create_mean.sh", file=sys.stderr)
    return 1 if skipped and not args.allow_broken else 0


def list_path(data, part):
    """The list `part` (age_train …) below the folder `data`."""
    return os.path.join(data, "DEF", part + ".txt")


def lmdb_path(data, part):
    """The database `part` below the folder `data`."""
    return os.path.join(data, "lmdb", part + "_lmdb")


def _check(args, parts):
    """Faults that can be told before the work begins, all at once."""
    if args.size < 1:
        raise AgeGenderError("--size %d: a positive number of pixels is due" % args.size)
    missing = [path for path in (list_path(args.data, part) for part in parts) if not os.path.isfile(path)]
    if missing:
        raise AgeGenderError("no {}; ./build_dataset.py writes the lists".format(", no ".join(missing)))
