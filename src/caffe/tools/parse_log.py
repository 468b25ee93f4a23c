"""Convert a training log to CSV tables: LOG.train and LOG.test.

The columns are NumIters, Seconds, LearningRate and one per output, as in Caffe's parse_log.py.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
from typing import TYPE_CHECKING

from caffe.errors import CaffeError

if TYPE_CHECKING:
    from caffe.solver.train_log import Table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add Caffe's arguments."""
    parser.add_argument("logfile_path", help="training log")
    parser.add_argument("output_dir", help="folder for the tables")
    parser.add_argument("--verbose", action="store_true", help="print the names of the files written")
    parser.add_argument("--delimiter", default=",", help="column delimiter (default: ,)")


def run(args: argparse.Namespace) -> None:
    """Read the log and write the tables that have rows."""
    from caffe.solver import train_log
    from caffe.utils.atomic_io import write_bytes

    if len(args.delimiter) != 1:
        raise CaffeError(f"--delimiter must be one character, received '{args.delimiter}'")
    if not os.path.isdir(args.output_dir):
        raise CaffeError(f"no folder '{args.output_dir}'")
    log = train_log.read(args.logfile_path)
    for phase, table in (("train", log.train), ("test", log.test)):
        path = os.path.join(args.output_dir, f"{os.path.basename(args.logfile_path)}.{phase}")
        if table.rows:
            write_bytes(path, table_text(table, args.delimiter))
        if args.verbose:
            print(f"Wrote {path}" if table.rows else f"Not writing {path}; no lines to write")


def table_text(table: Table, delimiter: str = ",") -> str:
    """Return a table of a training log as CSV text."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, table.columns(), delimiter=delimiter, restval="")
    writer.writeheader()
    writer.writerows(table.rows)
    return stream.getvalue()
