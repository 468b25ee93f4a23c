"""What compile, check and profile have in common: mvNCCompile's arguments, and the net that they name."""

from __future__ import annotations

import argparse


def add_arguments(parser):
    """The network, its weights and the part of it that is meant."""
    parser.add_argument(
        "-w", dest="weights", metavar="FILE", help="caffemodel or HDF5 (default: zero weights, as in the NCSDK)"
    )
    parser.add_argument("-in", dest="start", metavar="LAYER", help="first layer (default: the input)")
    parser.add_argument("-on", dest="end", metavar="LAYER", help="last layer (default: the answer)")
    parser.add_argument("-is", dest="size", nargs=2, type=positive, metavar=("W", "H"), help="size of the pictures")
    parser.add_argument(
        "-ec", action="store_true", help="accepted: concat optimisations are the compiler's own affair now"
    )


def positive(text):
    """A whole number from 1 on."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 on is wanted, received '{text}'")
    return int(text)


def check_file(path, *kinds):
    """Refuse a network that is not there, or is the wrong one of a pair; `kinds` are the suffixes that are taken."""
    import os

    from ncs.errors import NcsError

    if os.path.isdir(path):
        raise NcsError("[Error 8] {}: this is a folder; wanted is {}".format(path, " or ".join(kinds)))
    if not os.path.isfile(path):
        raise NcsError(f"[Error 8] {path}: no such file")
    suffix = os.path.splitext(path)[1].lower()
    if suffix in (".caffemodel", ".h5"):
        raise NcsError(f"{path} holds weights; the net comes first and they behind -w: NET.prototxt -w {path}")
    if suffix in (".onnx", ".xml", ".bin", ".blob", ".graph", ".json") and suffix not in kinds:
        raise NcsError("{}: wanted is {}".format(path, " or ".join(kinds)))


def input_shape(args):
    """(N, C, H, W) of ncs.compiler.compile.Options: one picture, of the size that -is gives."""
    width, height = args.size or (None, None)
    return (1, None, height, width)


def warn_of_zero_weights(args):
    """Say that no weights were given."""
    import sys

    if args.weights is None:
        print("warning: no -w: all weights are zero, as in the NCSDK", file=sys.stderr)


def net_of(args, build_only=False):
    """The deploy Net of check and profile, in float32: one input, one answer. One that is only `build_only` cannot run."""
    from ncs.compiler.compile import Model, Options, net_of
    from ncs.errors import NcsError

    check_file(args.network, ".prototxt")
    warn_of_zero_weights(args)
    options = Options(start=args.start, end=args.end, zero_weights=True, input_shape=input_shape(args))
    net = net_of(Model("", args.network, args.weights, None, []), options, build_only)
    if len(net.inputs) != 1:
        raise NcsError(
            "%s has %d inputs (%s); nets of one are asked" % (args.network, len(net.inputs), ", ".join(net.inputs))
        )
    if len(net.outputs) != 1:
        raise NcsError(
            "%s has %d answers (%s): -on LAYER takes the road to one"
            % (args.network, len(net.outputs), ", ".join(net.outputs))
        )
    return net


def mean_of(text):
    """None, a mean file's array, or the list of "104,117,123"."""
    from caffe.data.mean import read_mean

    if text is None:
        return None
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        return read_mean(text)
