"""Upgrade a net prototxt of any version to the current format.

Reads IN (V0, V1 or V2) and writes OUT, byte-identical to the output of Caffe's tool. IN can also be a binary net, whose
layers are written without weights.
"""

from __future__ import annotations

import argparse

from caffe.utils.cli import dialect


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add Caffe's arguments."""
    parser.add_argument("input", metavar="IN", help="net prototxt or .caffemodel")
    parser.add_argument("output", metavar="OUT", help="upgraded prototxt to write")
    dialect.add_option(parser)


def run(args: argparse.Namespace) -> None:
    """Upgrade the file."""
    from caffe.core import glog
    from caffe.proto import read, text
    from caffe.utils import atomic_io

    net = read.read_net(args.input, args.dialect).param
    atomic_io.write_bytes(args.output, text.format(net))
    glog.info(f"Wrote upgraded NetParameter text proto to {args.output}", "upgrade_net_proto_text.cpp:48")
