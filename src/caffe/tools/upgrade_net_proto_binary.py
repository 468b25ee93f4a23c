"""Upgrade a binary net (.caffemodel) of any version to the current format.

Reads IN (V0, V1 or V2, with weights) and writes OUT.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add Caffe's arguments."""
    parser.add_argument("input", metavar="IN", help=".caffemodel or other binary NetParameter")
    parser.add_argument("output", metavar="OUT", help="upgraded file to write")


def run(args: argparse.Namespace) -> None:
    """Upgrade the file."""
    from caffe.core import glog
    from caffe.proto import read
    from caffe.utils import atomic_io

    net = read.read_net_binary(args.input).param
    atomic_io.write_bytes(args.output, net.SerializeToString())
    glog.info(f"Wrote upgraded NetParameter binary proto to {args.output}", "upgrade_net_proto_binary.cpp:48")
