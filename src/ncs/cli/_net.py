"""The arguments that compile, check and profile share (those of mvNCCompile), and loading the net they name."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from caffe.net.net import Net


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that select the weights and the part of the network."""
    parser.add_argument(
        "-w", dest="weights", metavar="FILE", help="caffemodel or HDF5 (default: zero weights, as in the NCSDK)"
    )
    parser.add_argument("-in", dest="start", metavar="LAYER", help="first layer (default: the input)")
    parser.add_argument("-on", dest="end", metavar="LAYER", help="last layer (default: the output)")
    parser.add_argument("-is", dest="size", nargs=2, type=positive_int, metavar=("W", "H"), help="input size")
    parser.add_argument(
        "-ec", action="store_true", help="accepted and ignored: the compiler decides about concat optimisations"
    )


def positive_int(text: str) -> int:
    """Parse an integer of at least 1."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer, received '{text}'")
    return int(text)


def check_file(path: str, *suffixes: str) -> None:
    """Raise NcsError unless `path` is an existing file with one of the accepted `suffixes`."""
    import os

    from ncs.errors import NcsError

    if os.path.isdir(path):
        raise NcsError(f"[Error 8] {path}: this is a folder; expected {' or '.join(suffixes)}")
    if not os.path.isfile(path):
        raise NcsError(f"[Error 8] {path}: no such file")
    suffix = os.path.splitext(path)[1].lower()
    if suffix in (".caffemodel", ".h5") and suffix not in suffixes:
        raise NcsError(
            f"{path} contains weights; give the network first and the weights with -w: NET.prototxt -w {path}"
        )
    if suffix in (".onnx", ".xml", ".bin", ".blob", ".graph", ".json") and suffix not in suffixes:
        raise NcsError(f"{path}: expected {' or '.join(suffixes)}")


def input_shape(args: argparse.Namespace) -> tuple[int, None, int | None, int | None]:
    """Return (N, C, H, W) for ncs.compiler.compile.Options: one image of the size given by -is."""
    width, height = args.size or (None, None)
    return (1, None, height, width)


def warn_of_zero_weights(args: argparse.Namespace) -> None:
    """Warn when no weights were given."""
    import sys

    if args.weights is None:
        print("warning: no -w: all weights are zero, as in the NCSDK", file=sys.stderr)


def load_net(args: argparse.Namespace, build_only: bool = False) -> Net:
    """Load the deploy Net of check and profile (float32, one input, one output); with `build_only` it cannot run."""
    from ncs.compiler.compile import Model, Options, build_net
    from ncs.errors import NcsError

    check_file(args.network, ".prototxt")
    warn_of_zero_weights(args)
    options = Options(start=args.start, end=args.end, zero_weights=True, input_shape=input_shape(args))
    net = build_net(Model("", args.network, args.weights, None, []), options, build_only)
    if len(net.inputs) != 1:
        raise NcsError(
            f"{args.network}: expected a net with one input, received {len(net.inputs)} ({', '.join(net.inputs)})"
        )
    if len(net.outputs) != 1:
        raise NcsError(
            f"{args.network}: expected a net with one output, received {len(net.outputs)} ({', '.join(net.outputs)}); "
            "select one with -on LAYER"
        )
    return net


def parse_mean(text: str | None) -> list[float] | np.ndarray | None:
    """Parse "104,117,123" into a list, or read a mean file (C, H, W); None stays None."""
    from caffe.data.mean import read_mean

    if text is None:
        return None
    try:
        return [float(value) for value in text.split(",")]
    except ValueError:
        return read_mean(text)
