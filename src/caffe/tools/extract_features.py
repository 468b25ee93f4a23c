"""Write blobs of a trained net to databases, one Datum per item.

extract_features WEIGHTS NET BLOB[,BLOB…] DB[,DB…] BATCHES lmdb|leveldb [CPU|GPU [DEVICE_ID]]: the net runs in phase
TEST and reads from its own data layer. Keys are consecutive numbers of ten digits.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from caffe.errors import CaffeError, did_you_mean

if TYPE_CHECKING:
    from caffe.net.net import Net


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add Caffe's positional arguments."""
    parser.add_argument("weights", metavar="WEIGHTS", help="caffemodel")
    parser.add_argument("net", metavar="NET", help="net prototxt with a data layer")
    parser.add_argument("blobs", metavar="BLOBS", help="names of blobs, separated by commas")
    parser.add_argument("databases", metavar="DATABASES", help="one new database per blob, separated by commas")
    parser.add_argument("batches", metavar="BATCHES", type=int, help="number of batches to run")
    parser.add_argument("backend", metavar="BACKEND", help="lmdb or leveldb")
    parser.add_argument("mode", metavar="CPU|GPU", nargs="?", default="CPU", help="device to run on (default: CPU)")
    parser.add_argument("device", metavar="DEVICE_ID", nargs="?", default="0", help="id of the GPU (default: 0)")


def run(args: argparse.Namespace) -> None:
    """Check all arguments, then run the net."""
    from caffe.core import config, glog
    from caffe.net.net import Net
    from caffe.pycaffe import TEST

    names, paths = args.blobs.split(","), args.databases.split(",")
    if len(names) != len(paths):
        raise CaffeError(f"expected one database per blob, received {len(names)} blobs and {len(paths)} databases")
    if args.batches < 1:
        raise CaffeError(f"the number of batches must be positive, received {args.batches}")
    if args.mode == "GPU":
        config.set_device(_device(args.device))
        config.set_mode_gpu()
    elif args.mode != "CPU":
        raise CaffeError(f"expected CPU or GPU, received '{args.mode}'")
    glog.info(f"Using {args.mode}", "extract_features.cpp:48")
    net = Net(args.net, TEST, weights=args.weights)
    for name in names:
        if name not in net.blobs:
            hint = did_you_mean(name, net.blobs)
            raise CaffeError(f"{args.net}: unknown feature blob '{name}'{hint}")
    extract(net, names, paths, args.batches, args.backend)


def _device(text):
    if not text.isdigit():
        raise CaffeError(f"DEVICE_ID must be a number, received '{text}'")
    return int(text)


def extract(net: Net, names: Sequence[str], paths: Sequence[str], batches: int, backend: str) -> None:
    """Run `batches` batches of `net` and write blob `names[i]` to database `paths[i]`.

    Either all databases are created or none.
    """
    from caffe.core import glog
    from caffe.data.db import create_db
    from caffe.utils.cli.progress import Progress

    counts = [0] * len(names)
    with contextlib.ExitStack() as stack:
        writers = []
        for path in paths:
            glog.info(f"Opening dataset {path}", "extract_features.cpp:127")
            writers.append(stack.enter_context(create_db(path, backend)))
        glog.info("Extracting Features", "extract_features.cpp:136")
        progress = stack.enter_context(Progress("Extracting features", batches, "batches"))
        for _ in range(batches):
            net.forward_range(0, len(net.layers) - 1, record=False)
            for i, name in enumerate(names):
                for value in _records(net.blobs[name]):
                    writers[i].put(b"%010d" % counts[i], value)
                    counts[i] += 1
            progress.step()
    for name, count in zip(names, counts):
        glog.info(f"Extracted features of {count} query images for feature blob {name}", "extract_features.cpp:171")
    glog.info("Successfully extracted the features!", "extract_features.cpp:177")


def _records(blob):
    """Yield a serialized Datum per item of `blob`, without a label, as Caffe does."""
    from caffe.proto import caffe_pb2

    shape = dict(channels=blob.channels, height=blob.height, width=blob.width)
    for item in blob.data.reshape(blob.num, -1):
        yield caffe_pb2.Datum(float_data=item, **shape).SerializeToString()
