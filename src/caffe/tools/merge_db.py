"""Merge databases with ascending keys, such as the shards of convert_imageset --shards, into one.

merge_db [flags] DB_NAME INPUT...: each INPUT is a database or a list of databases, in key order. The result of merging
all shards is byte-identical to the database that convert_imageset writes without --shards.
"""

from __future__ import annotations

import argparse

from caffe.tools.flags import gflags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("db", metavar="DB_NAME", help="folder of the new database")
    parser.add_argument("inputs", metavar="INPUT", nargs="+", help="database or list of databases")
    parser.add_argument("--backend", default="lmdb", help="lmdb (default) or leveldb")
    gflags.boolean(parser, "overwrite", help="replace DB_NAME if it is a database")


def run(args: argparse.Namespace) -> None:
    """Merge the databases."""
    import contextlib

    from caffe.core import glog
    from caffe.data.db import create_db, open_db, shards

    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(open_db(path, args.backend)) for path in args.inputs]
        with create_db(args.db, args.backend, args.overwrite) as writer:
            count = shards.merge(writer, readers)
    glog.info(f"Merged {count} records of {len(readers)} inputs into {args.db}", "merge_db.cpp:1")
