"""The option --dialect of commands that read a net from a binary file."""

from __future__ import annotations

import argparse


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add --dialect; `caffe.proto.dialects.names()` lists its values."""
    parser.add_argument(
        "--dialect",
        metavar="FORK",
        help="fork of Caffe whose field numbers a binary net (.caffemodel) has: bvlc, nvcaffe-0.17, intel, "
        "mobilenet-yolo, ... (default: SSD's; a wrong name lists all)",
    )
