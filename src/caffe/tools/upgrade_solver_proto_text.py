"""Upgrade a solver's prototxt: the old solver_type becomes type.

Reads IN, writes OUT byte for byte as Caffe's own tool does.
"""

from __future__ import annotations


def add_arguments(parser):
    parser.add_argument("input", metavar="IN", help="prototxt of a solver")
    parser.add_argument("output", metavar="OUT", help="where the upgraded prototxt goes")


def run(args):
    from caffe.core import glog
    from caffe.proto import read, text
    from caffe.utils import atomic_io

    solver = read.read_solver(args.input, prefix=False).param
    atomic_io.write_bytes(args.output, text.format(solver))
    glog.info(f"Wrote upgraded SolverParameter text proto to {args.output}", "upgrade_solver_proto_text.cpp:45")
