"""Upgrade a solver prototxt: the old field solver_type becomes type.

Reads IN and writes OUT, byte-identical to the output of Caffe's tool.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add Caffe's arguments."""
    parser.add_argument("input", metavar="IN", help="solver prototxt")
    parser.add_argument("output", metavar="OUT", help="upgraded prototxt to write")


def run(args: argparse.Namespace) -> None:
    """Upgrade the file."""
    from caffe.core import glog
    from caffe.proto import read, text
    from caffe.utils import atomic_io

    solver = read.read_solver(args.input, prefix=False).param
    atomic_io.write_bytes(args.output, text.format(solver))
    glog.info(f"Wrote upgraded SolverParameter text proto to {args.output}", "upgrade_solver_proto_text.cpp:45")
