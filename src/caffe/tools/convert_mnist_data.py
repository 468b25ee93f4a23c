"""Convert the idx files of MNIST to a database of Datum records.

convert_mnist_data [flags] INPUT_IMAGE_FILE INPUT_LABEL_FILE OUTPUT_DB_FILE: keys and records are those of Caffe's
examples/mnist/convert_mnist_data. The files must be unpacked (gunzip).
"""

from __future__ import annotations

import argparse

from caffe.tools.flags import gflags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add Caffe's arguments and --overwrite."""
    parser.add_argument("images", metavar="INPUT_IMAGE_FILE", help="train-images-idx3-ubyte")
    parser.add_argument("labels", metavar="INPUT_LABEL_FILE", help="train-labels-idx1-ubyte")
    parser.add_argument("db", metavar="OUTPUT_DB_FILE", help="folder of the new database")
    parser.add_argument("--backend", default="lmdb", help="lmdb (default) or leveldb")
    gflags.boolean(parser, "overwrite", help="replace OUTPUT_DB_FILE if it is a database")


def run(args: argparse.Namespace) -> None:
    """Convert the files."""
    from caffe.data.convert import mnist

    mnist.convert(args.images, args.labels, args.db, args.backend, args.overwrite)
