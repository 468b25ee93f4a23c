"""Measure the forward and backward time of each layer of a net.

The output has the format of Caffe's `caffe time`. The environment variable OMP_NUM_THREADS sets the number of threads.
"""

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
    parser.add_argument("--iterations", type=int, default=50, help="number of passes to measure (default: 50)")
    parser.add_argument("--phase", default="TRAIN", help="TRAIN (default) or TEST")
    parser.add_argument("--level", type=int, default=0, help="network level")
    parser.add_argument("--stage", default="", help="network stages, separated by commas")
    parser.add_argument("--gpu", default="", help="CUDA device id")
    parser.add_argument("--weights", default="", help="caffemodel; does not affect the time")
    dialect.add_option(parser)


def run(args: argparse.Namespace) -> None:
    """Load the net and measure it."""
    from caffe.core import config, glog
    from caffe.net.net import Net
    from caffe.weights.paths import split

    if args.phase not in ("TRAIN", "TEST"):
        raise CaffeError(f'phase must be "TRAIN" or "TEST", received "{args.phase}"')
    if args.iterations < 1:
        raise CaffeError(f"--iterations must be positive, received {args.iterations}")
    if args.gpu:
        glog.info(f"Use GPU with device ID {config.use_gpu(args.gpu)}", "caffe.cpp:341")
    else:
        glog.info("Use CPU.", "caffe.cpp:345")
    stages = [stage for stage in args.stage.split(",") if stage]
    phase = ("TRAIN", "TEST").index(args.phase)
    net = Net(args.model, phase, level=args.level, stages=stages, dialect=args.dialect)
    for path in split(args.weights) if args.weights else ():
        net.copy_from(path)
    benchmark(net, args.iterations)


def benchmark(net: Net, iterations: int) -> None:
    """Print the average time of each layer over `iterations` passes, after one warm-up pass."""
    from caffe.core import glog

    last = len(net.layers) - 1
    glog.info("Performing Forward", "caffe.cpp:352")
    glog.info(f"Initial loss: {net.forward_range(0, last):.6g}", "caffe.cpp:357")
    glog.info("Performing Backward", "caffe.cpp:358")
    net.backward_range(last, 0)
    glog.info("*** Benchmark begins ***", "caffe.cpp:366")
    glog.info(f"Testing for {iterations} iterations.", "caffe.cpp:367")
    clock = _Clock(net)
    forward, backward = [0.0] * (last + 1), [0.0] * (last + 1)
    forward_total = backward_total = 0.0
    benchmark_start = clock.now()
    for number in range(1, iterations + 1):
        start = clock.now()
        clock.add(forward, range(last + 1), net.forward_range)
        middle = clock.now()
        clock.add(backward, range(last, -1, -1), net.backward_range)
        end = clock.now()
        forward_total, backward_total = forward_total + middle - start, backward_total + end - middle
        glog.info(f"Iteration: {number} forward-backward time: {end - start:.6g} ms.", "caffe.cpp:395")
    total = clock.now() - benchmark_start
    _report(net, iterations, (forward, backward), (forward_total, backward_total, total))


class _Clock:
    """A clock in milliseconds that synchronizes with the GPU first if the net is on one."""

    def __init__(self, net):
        import time

        import torch

        self._synchronize = torch.cuda.synchronize if net.device.type == "cuda" else lambda: None
        self._clock = time.perf_counter

    def now(self):
        self._synchronize()
        return 1000 * self._clock()

    def add(self, sums, order, run):
        """Run layer by layer in `order` and add the time of layer i to `sums[i]`."""
        start = self.now()
        for i in order:
            run(i, i)
            end = self.now()
            sums[i] += end - start
            start = end


def _report(net, iterations, layers, totals):
    from caffe.core import glog

    glog.info("Average time per layer: ", "caffe.cpp:398")
    for name, forward, backward in zip(net._layer_names, *layers):
        glog.info(f"{name:>10}\tforward: {forward / iterations:.6g} ms.", "caffe.cpp:401")
        glog.info(f"{name:>10}\tbackward: {backward / iterations:.6g} ms.", "caffe.cpp:404")
    forward, backward, total = totals
    glog.info(f"Average Forward pass: {forward / iterations:.6g} ms.", "caffe.cpp:409")
    glog.info(f"Average Backward pass: {backward / iterations:.6g} ms.", "caffe.cpp:411")
    glog.info(f"Average Forward-Backward: {total / iterations:.6g} ms.", "caffe.cpp:413")
    glog.info(f"Total Time: {total:.6g} ms.", "caffe.cpp:415")
    glog.info("*** Benchmark ends ***", "caffe.cpp:416")
