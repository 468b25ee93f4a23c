"""Upgrade a net's binary file (.caffemodel) of any generation to today's.

Reads IN (V0, V1 or V2, weights and all) and writes OUT.
"""

from __future__ import annotations


def add_arguments(parser):
    parser.add_argument("input", metavar="IN", help=".caffemodel, or another binary NetParameter")
    parser.add_argument("output", metavar="OUT", help="where the upgraded file goes")


def run(args):
    from caffe.core import glog
    from caffe.proto import read
    from caffe.utils import atomic_io

    net = read.read_net_binary(args.input).param
    atomic_io.write_bytes(args.output, net.SerializeToString())
    glog.info(f"Wrote upgraded NetParameter binary proto to {args.output}", "upgrade_net_proto_binary.cpp:48")
