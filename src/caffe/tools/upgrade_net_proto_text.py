"""Upgrade a net's prototxt of any generation to today's.

Reads IN (V0, V1 or V2), writes OUT byte for byte as Caffe's own tool does.
"""

from __future__ import annotations


def add_arguments(parser):
    parser.add_argument("input", metavar="IN", help="prototxt of a net")
    parser.add_argument("output", metavar="OUT", help="where the upgraded prototxt goes")


def run(args):
    from caffe.core import glog
    from caffe.proto import read, text
    from caffe.utils import atomic_io

    net = read.read_net(args.input).param
    atomic_io.write_bytes(args.output, text.format(net))
    glog.info(f"Wrote upgraded NetParameter text proto to {args.output}", "upgrade_net_proto_text.cpp:48")
