"""Compute the mean image of a database.

compute_image_mean [flags] INPUT_DB [OUTPUT_FILE] writes a BlobProto (.binaryproto), or an .npy file if the name ends
in .npy, and logs the mean of each channel.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add Caffe's flags and --npy."""
    parser.add_argument("db", metavar="INPUT_DB")
    parser.add_argument(
        "output", metavar="OUTPUT_FILE", nargs="?", help="mean image to write; without it the mean is only logged"
    )
    parser.add_argument("--backend", default="lmdb", help="lmdb (default) or leveldb")
    parser.add_argument("--npy", metavar="FILE", help="also write the mean as float32 (channels, height, width)")


def run(args: argparse.Namespace) -> None:
    """Compute the mean, write it and log the mean of each channel."""
    from caffe.core import glog
    from caffe.data.db import open_db
    from caffe.data.image_mean import channel_means, image_mean
    from caffe.data.mean import write_mean
    from caffe.errors import CaffeError

    if args.npy and not args.npy.endswith(".npy"):
        raise CaffeError(f"--npy: expected a name that ends in .npy, received '{args.npy}'")
    with open_db(args.db, args.backend) as db:
        mean = image_mean(db)
    for path in filter(None, (args.output, args.npy)):
        glog.info(f"Write to {path}", "compute_image_mean.cpp:108")
        write_mean(path, mean)
    glog.info(f"Number of channels: {len(mean)}", "compute_image_mean.cpp:114")
    for channel, value in enumerate(channel_means(mean)):
        glog.info(f"mean_value channel [{channel}]: {value:.6g}", "compute_image_mean.cpp:119")
