"""Upgrade a binary net (.caffemodel) of any version to the current format.

Reads IN (V0, V1 or V2, with weights) and writes OUT. --dialect and --write-dialect translate between the field numbers
of Caffe's forks. Without them, the bytes of fields that no fork has are kept, as in Caffe.
"""

from __future__ import annotations

import argparse

from caffe.utils.cli import dialect


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add Caffe's arguments."""
    parser.add_argument("input", metavar="IN", help=".caffemodel or other binary NetParameter")
    parser.add_argument("output", metavar="OUT", help="upgraded file to write")
    dialect.add_option(parser)
    parser.add_argument(
        "--write-dialect", metavar="FORK", help="fork whose field numbers OUT has (default: this package's)"
    )


def run(args: argparse.Namespace) -> None:
    """Upgrade the file."""
    from caffe.core import glog
    from caffe.proto import dialects, read
    from caffe.utils import atomic_io

    to = args.write_dialect
    net = read.read_net_binary(args.input, dialect=args.dialect, keep_unknown=not to).param
    atomic_io.write_bytes(args.output, dialects.write_net(net, to, args.input) if to else net.SerializeToString())
    glog.info(f"Wrote upgraded NetParameter binary proto to {args.output}", "upgrade_net_proto_binary.cpp:48")
