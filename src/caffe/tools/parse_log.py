"""Make tables (CSV) of a training log: LOG.train and LOG.test.

Columns are NumIters, Seconds, LearningRate and one for each output, as Caffe's parse_log.py has them.
"""

from __future__ import annotations

import csv
import io
import os

from caffe.errors import CaffeError


def add_arguments(parser):
    """Caffe's arguments."""
    parser.add_argument("logfile_path", help="log of a training")
    parser.add_argument("output_dir", help="folder for the tables")
    parser.add_argument("--verbose", action="store_true", help="say which files were written")
    parser.add_argument("--delimiter", default=",", help="between columns (default: ,)")


def run(args):
    """Read the log, write the tables that have rows."""
    from caffe.solver import train_log
    from caffe.utils.atomic_io import write_bytes

    if len(args.delimiter) != 1:
        raise CaffeError(f"--delimiter is one character, received '{args.delimiter}'")
    if not os.path.isdir(args.output_dir):
        raise CaffeError(f"there is no folder '{args.output_dir}'")
    log = train_log.read(args.logfile_path)
    for ending, table in (("train", log.train), ("test", log.test)):
        path = os.path.join(args.output_dir, f"{os.path.basename(args.logfile_path)}.{ending}")
        if table.rows:
            write_bytes(path, table_text(table, args.delimiter))
        if args.verbose:
            print(f"Wrote {path}" if table.rows else f"Not writing {path}; no lines to write")


def table_text(table, delimiter=","):
    """The CSV text of a trainlog.Table."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, table.columns(), delimiter=delimiter, restval="")
    writer.writeheader()
    writer.writerows(table.rows)
    return stream.getvalue()
