"""The flags of convert_imageset and convert_annoset that say how images are stored."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from caffe.errors import CaffeError
from caffe.tools.flags import gflags

if TYPE_CHECKING:
    from caffe.data.convert.imageset import RecordFormat


def add(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    gflags.boolean(parser, "gray", help="one channel instead of three")
    gflags.boolean(parser, "shuffle", help="shuffle the list first")
    parser.add_argument("--backend", default="lmdb", help="lmdb (default) or leveldb")
    parser.add_argument("--resize_width", type=int, default=0, metavar="W", help="0: keep the size")
    parser.add_argument("--resize_height", type=int, default=0, metavar="H", help="0: keep the size")
    gflags.boolean(parser, "check_size", help="fail if images differ in size")
    gflags.boolean(parser, "encoded", help="store encoded image files instead of pixels")
    parser.add_argument("--encode_type", default="", help="encode images in this format (jpg, png)")
    parser.add_argument("--seed", type=int, default=1701, help="seed of --shuffle (default: 1701)")
    gflags.boolean(parser, "allow_broken", help="exit with status 0 although images were skipped")
    gflags.boolean(parser, "overwrite", help="replace DB_NAME if it is a database")


def record_format(args: argparse.Namespace) -> RecordFormat:
    """Return the RecordFormat; raise CaffeError for a size that is not complete."""
    from caffe.core import glog
    from caffe.data.convert.imageset import RecordFormat

    if args.encode_type and not args.encoded:
        glog.info("encode_type specified, assuming encoded=true.", "convert_imageset.cpp:90")
    return RecordFormat(args.gray, _size(args), args.encoded or bool(args.encode_type), args.encode_type)


def _size(args):
    height, width = args.resize_height, args.resize_width
    if height == 0 and width == 0:
        return None
    if height <= 0 or width <= 0:
        raise CaffeError(
            f"--resize_height {height} and --resize_width {width}: set both to positive values (Caffe silently does "
            "not resize)"
        )
    return (height, width)
