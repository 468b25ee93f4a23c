"""Convert the idx files of MNIST to a database of random pairs, for siamese nets.

convert_mnist_siamese_data [flags] INPUT_IMAGE_FILE INPUT_LABEL_FILE OUTPUT_DB_FILE: a record has two images as its two
channels, and label 1 if both show the same digit. The database is a LevelDB, as that of Caffe's
examples/siamese/convert_mnist_siamese_data; unlike there, the pairs follow from a seed.
"""

from __future__ import annotations

import argparse

from caffe.tools.flags import gflags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add Caffe's arguments, --backend, --seed and --overwrite."""
    parser.add_argument("images", metavar="INPUT_IMAGE_FILE", help="train-images-idx3-ubyte")
    parser.add_argument("labels", metavar="INPUT_LABEL_FILE", help="train-labels-idx1-ubyte")
    parser.add_argument("db", metavar="OUTPUT_DB_FILE", help="folder of the new database")
    parser.add_argument("--backend", default="leveldb", help="leveldb (default) or lmdb")
    parser.add_argument("--seed", type=int, default=1701, help="seed of the pairs (default: 1701)")
    gflags.boolean(parser, "overwrite", help="replace OUTPUT_DB_FILE if it is a database")


def run(args: argparse.Namespace) -> None:
    """Convert the files."""
    from caffe.data.convert import mnist
    from caffe.errors import CaffeError

    if args.seed < 0:
        raise CaffeError(f"--seed: expected a number from 0 on, received {args.seed}")
    mnist.convert_siamese(args.images, args.labels, args.db, args.backend, args.seed, args.overwrite)
