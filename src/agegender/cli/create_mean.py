"""Average the age training LMDB into data/mean/mean.binaryproto and age_gender_mean.npy.

One mean serves both nets. It equals compute_image_mean's to the bit; the .npy holds the same numbers as
float32, channels (BGR) x height x width.
"""

from __future__ import annotations

import argparse
import os
import sys

from agegender.errors import AgeGenderError
from agegender.workspace import MEAN_NPY


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="DIR", default="data", help="reads DIR/lmdb, writes DIR/mean (default: data)")
    parser.add_argument("--lmdb", metavar="DB", help="another LMDB than DIR/lmdb/age_train_lmdb")
    parser.add_argument("--npy", metavar="FILE", default=MEAN_NPY, help=f"(default: {MEAN_NPY})")


def run(args: argparse.Namespace) -> None:
    from caffe.data.db import open_db
    from caffe.data.image_mean import channel_means, image_mean
    from caffe.data.mean import write_mean

    source = args.lmdb or os.path.join(args.data, "lmdb", "age_train_lmdb")
    if not args.lmdb and not os.path.isdir(source):
        raise AgeGenderError(f"no {source}; ./create_lmdb.sh makes it")
    if not args.npy.endswith(".npy"):
        raise AgeGenderError(f"--npy {args.npy}: the name must end in .npy")
    with open_db(source) as db:
        count, mean = len(db), image_mean(db)
    target = os.path.join(args.data, "mean", "mean.binaryproto")
    for path in (target, args.npy):
        write_mean(path, mean)
    print(f"{target} and {args.npy}: the mean of {count} images of {source}")
    print("mean of the channels (blue, green, red):", *[f"{value:.4f}" for value in channel_means(mean)])
    print("Next: ./train_AgeNet.sh and ./train_GenderNet.sh", file=sys.stderr)
