"""Convert a list of images to a database of Datum records.

convert_imageset [flags] ROOTFOLDER/ LISTFILE DB_NAME: each line of LISTFILE is `path label`. The path of an image is
the concatenation of ROOTFOLDER and path, so the trailing slash matters. The database is written atomically and is
byte-identical for the same input. Images that cannot be read are logged with their line and skipped; the exit status
is then 1, unless --allow_broken is given (Caffe skips them with status 0). With --shards the Data layer reads DB_NAME,
a list of the shards, as one database; `caffe merge_db` makes it one.
"""

from __future__ import annotations

import argparse

from caffe.errors import CaffeError
from caffe.tools.flags import record_flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add Caffe's flags and this project's extensions."""
    parser.add_argument("root", metavar="ROOTFOLDER/", help="prefix of every path in the list")
    parser.add_argument("list", metavar="LISTFILE", help="one `path label` per line")
    parser.add_argument("db", metavar="DB_NAME", help="folder of the new database")
    record_flags.add(parser)
    parser.add_argument(
        "--shards",
        type=int,
        default=1,
        metavar="N",
        help="write N databases, DB_NAME-00000-of-N ..., and their list DB_NAME",
    )
    parser.add_argument(
        "--only_shard", type=int, metavar="K", help="write shard K only: other machines write the others"
    )
    parser.add_argument(
        "--ray",
        default="",
        metavar="ADDRESS",
        help="write the shards on a Ray cluster: its address, auto, or local for one on this machine; the images and "
        "DB_NAME are in directories that all nodes share",
    )
    parser.add_argument(
        "--workers", type=int, default=0, metavar="N", help="threads (default: one per core; with --ray one per shard)"
    )


def run(args: argparse.Namespace) -> int:
    """Convert the list; return 1 if images were skipped."""
    from caffe.core import glog
    from caffe.data.convert import imageset

    if args.ray and (args.shards == 1 or args.only_shard is not None):
        raise CaffeError("--ray writes the shards of --shards N, with N of at least 2 and without --only_shard")
    if args.shards < 1 or (args.only_shard is not None and args.shards == 1):
        raise CaffeError(f"--shards must be at least 1 and belongs to --only_shard, received {args.shards}")
    summary = imageset.convert(
        args.root,
        args.list,
        args.db,
        record_flags.record_format(args),
        shuffle=args.shuffle,
        seed=args.seed,
        backend=args.backend,
        check_size=args.check_size,
        overwrite=args.overwrite,
        workers=args.workers,
        shards=args.shards,
        only=args.only_shard,
        ray=args.ray,
    )
    if not summary.skipped:
        return 0
    total = summary.written + len(summary.skipped)
    glog.error(
        f"{len(summary.skipped)} of {total} images were skipped in {args.db}; they are listed above",
        "convert_imageset.cpp:150",
    )
    return 0 if args.allow_broken else 1
