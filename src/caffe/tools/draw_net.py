"""Draw a net as an image (.png, .svg, .pdf) or as Graphviz text (.dot).

Graphviz does the layout if it is installed, else Matplotlib.
"""

from __future__ import annotations

import argparse

from caffe.utils.cli import dialect


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add Caffe's arguments."""
    parser.add_argument("input_net_proto_file", metavar="NET", help="net prototxt or .caffemodel")
    parser.add_argument("output_image_file", metavar="IMAGE", help="image to write; the extension selects the format")
    parser.add_argument("--rankdir", default="LR", help="direction of the net: LR (default), RL, TB or BT")
    parser.add_argument(
        "--phase", choices=("TRAIN", "TEST", "ALL"), default="ALL", help="draw the layers of this phase (default: ALL)"
    )
    dialect.add_option(parser)
    parser.add_argument("--display_lrm", action="store_true", help="show learning rate multipliers")


def run(args: argparse.Namespace) -> None:
    """Read the net, draw it."""
    from caffe import draw
    from caffe.proto.read import read_net

    net = read_net(args.input_net_proto_file, args.dialect).param
    phase = {"TRAIN": 0, "TEST": 1, "ALL": None}[args.phase]
    print(f"Drawing net to {args.output_image_file}")
    draw.draw_net_to_file(net, args.output_image_file, args.rankdir, phase, args.display_lrm)
