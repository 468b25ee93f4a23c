"""Convert the binary version of CIFAR-10 to databases of Datum records.

convert_cifar_data INPUT_FOLDER OUTPUT_FOLDER DB_TYPE writes OUTPUT_FOLDER/cifar10_train_DB_TYPE and
OUTPUT_FOLDER/cifar10_test_DB_TYPE; keys and records are those of Caffe's examples/cifar10/convert_cifar_data.
"""

from __future__ import annotations

import argparse

from caffe.tools.flags import gflags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add Caffe's arguments and --overwrite."""
    parser.add_argument("folder", metavar="INPUT_FOLDER", help="folder of data_batch_1.bin ... and test_batch.bin")
    parser.add_argument("output", metavar="OUTPUT_FOLDER", help="folder for the two databases")
    parser.add_argument("backend", metavar="DB_TYPE", help="lmdb or leveldb")
    gflags.boolean(parser, "overwrite", help="replace the databases that exist")


def run(args: argparse.Namespace) -> None:
    """Convert the files."""
    from caffe.data.convert import cifar

    cifar.convert(args.folder, args.output, args.backend, args.overwrite)
