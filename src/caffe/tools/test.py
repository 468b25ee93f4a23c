"""Score a net: run its TEST phase, print the outputs of every batch and their means."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from caffe.errors import CaffeError
from caffe.utils.cli import dialect

if TYPE_CHECKING:
    from caffe.net.net import Net


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add Caffe's flags."""
    parser.add_argument("--model", required=True, help="net prototxt, or a caffemodel, whose net is taken")
    parser.add_argument(
        "--weights", required=True, help="caffemodel or h5; several are separated by commas and loaded in order"
    )
    parser.add_argument("--iterations", type=int, default=50, help="number of batches (default: 50)")
    parser.add_argument("--gpu", default="", help="CUDA device id")
    parser.add_argument("--level", type=int, default=0, help="network level")
    parser.add_argument("--stage", default="", help="network stages, separated by commas")
    parser.add_argument("--phase", default="TEST", help="accepted for compatibility; the net always runs in phase TEST")
    dialect.add_option(parser)


def run(args: argparse.Namespace) -> None:
    """Load the net and score it."""
    from caffe.core import config, glog
    from caffe.net.net import Net
    from caffe.proto import caffe_pb2
    from caffe.weights.paths import split

    if args.iterations < 1:
        raise CaffeError(f"--iterations must be positive, received {args.iterations}")
    if args.gpu:
        config.use_gpu(args.gpu)
    net = Net(
        args.model,
        caffe_pb2.TEST,
        level=args.level,
        stages=[s for s in args.stage.split(",") if s],
        dialect=args.dialect,
    )
    for path in split(args.weights):
        net.copy_from(path)
    glog.info(f"Running for {args.iterations} iterations.", "caffe.cpp:281")
    score(net, args.iterations)


def score(net: Net, iterations: int) -> dict[str, list[float]]:
    """Run `iterations` batches and log Caffe's lines; return {output name: mean of every element}."""
    from caffe.core import glog
    from caffe.solver.test_outputs import TestOutputs

    outputs = TestOutputs(net)
    loss, last = 0.0, len(net.layers) - 1
    for i in range(iterations):
        loss += net.forward_range(0, last, record=False)
        outputs.add()
        for name in net.outputs:
            for value in net.blobs[name].data.ravel() if name not in outputs.detections else ():
                glog.info(f"Batch {i}, {name} = {value:.6g}", "caffe.cpp:304")
    glog.info(f"Loss: {loss / iterations:.6g}", "caffe.cpp:309")
    weights = net.blob_loss_weights
    means = outputs.results()
    for name, values in means.items():
        for value in values:
            weight = weights.get(name, 0.0)
            note = f" (* {weight:.6g} = {weight * value:.6g} loss)" if weight else ""
            glog.info(f"{name} = {value:.6g}{note}", "caffe.cpp:321")
    return {name: values.tolist() for name, values in means.items()}
