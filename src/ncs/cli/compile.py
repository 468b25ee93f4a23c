"""Compile a Caffe net, ONNX or IR for a Neural Compute Stick, and for OpenVINO's CPU, GPU and NPU.

The options are mvNCCompile's where it had one. A prototxt (train_val or deploy) becomes NAME.onnx, an FP16 IR
(NAME.xml, .bin), a Myriad blob and the manifest NAME.json; an ONNX file or an IR v10 becomes a blob.
"""

from __future__ import annotations


def add_arguments(parser):
    parser.add_argument("network", nargs="?", help="network.prototxt, .onnx, or .xml (IR v10)")
    parser.add_argument("--model", metavar="NAME", help="a net known by name instead (`agegender zoo list`); its weights, "
                        "mean and labels are its own, -o is the folder of the results (default: graph)")
    parser.add_argument("-w", dest="weights", help="caffemodel or HDF5 (default: zero weights, as mvNCCompile)")
    parser.add_argument("-s", dest="shaves", metavar="N[,N…]",
                        help="SHAVE cores (default: the compiler chooses); several give NAME_4shave.blob …")
    parser.add_argument("--cmx-slices", type=int, metavar="N", help="CMX slices (default: as many as SHAVE cores)")
    parser.add_argument("-in", dest="start", metavar="LAYER", help="first layer (default: the input)")
    parser.add_argument("-on", dest="end", metavar="LAYER", help="last layer (default: the answer)")
    parser.add_argument("-is", dest="size", nargs=2, type=int, metavar=("W", "H"), help="size of the pictures")
    parser.add_argument("-o", dest="output", help="result: FILE.blob, or the stem of all files (default: the network's name)")
    parser.add_argument("-ec", action="store_true", help="accepted: concat optimisations are the compiler's own affair now")
    parser.add_argument("--platform", choices=("MA2480", "MA2450"), default="MA2480",
                        help="Myriad X, Neural Compute Stick 2 (default), or Myriad 2, the first stick")
    for chip in ("MA2480", "MA2450"):
        parser.add_argument("-" + chip.lower(), dest="platform", action="store_const", const=chip, help="--platform " + chip)
    parser.add_argument("-ip", dest="precision", choices=("FP32", "U8"), default="FP32",
                        help="what the net is fed; U8 takes the picture's bytes, mean and scale go into the graph")
    parser.add_argument("--mean", metavar="FILE|B,G,R", help="mean file, or one value a channel")
    parser.add_argument("--scale", type=float, default=1.0, help="factor after the mean, e.g. 0.00392157 (default 1)")
    parser.add_argument("--order", choices=("BGR", "RGB"), default="BGR", help="channels as trained (default BGR)")
    parser.add_argument("--labels", metavar="FILE", help="one name a line, one line an output")
    parser.add_argument("--archive", metavar="FILE", help="put all blobs into this one file as well (`ncs inspect` reads it)")
    parser.add_argument("-c", dest="config", metavar="FILE", help="settings of the compiler: lines `KEY VALUE`")
    parser.add_argument("--no-blob", action="store_true", help="ONNX and IR only; nothing is fetched")
    parser.add_argument("--toolkit", choices=("openvino", "ncsdk"), default="openvino",
                        help="ncsdk: have mvNCCompile, which must be on the PATH, make a graph for the first stick")


def run(args):
    import os

    from ncs.errors import NcsError

    if args.model:
        return compile_model(args)
    if args.network is None:
        raise NcsError("what is to be compiled? give a network file, or --model NAME")
    if not os.path.isfile(args.network):
        raise NcsError("%s: no such file" % args.network)
    stem = stem_of(args.network, args.output)
    if args.toolkit == "ncsdk":
        return with_ncsdk(args)
    if args.network.endswith((".onnx", ".xml")):
        return compile_file(args, stem)
    return compile_net(args, stem)


def stem_of(network, output):
    """The result's path without .blob: from -o, else the network's name in this folder."""
    import os

    if output is None:
        return os.path.splitext(os.path.basename(network))[0]
    stem, suffix = os.path.splitext(output)
    return stem if suffix in (".blob", ".onnx", ".xml", ".json") else output


def shave_counts(text):
    """(4, 8) of "4,8"; () of None."""
    from ncs.errors import NcsError

    words = [] if text is None else text.split(",")
    if any(not word.strip().isdigit() for word in words):
        raise NcsError("[Error 27] -s takes a number of SHAVE cores or a list (4,8); received '%s'" % text)
    return tuple(dict.fromkeys(int(word) for word in words))


def options_of(args):
    """ncs.compile.Options of the command line."""
    from ncs.compile import Options

    counts = shave_counts(args.shaves)
    return Options(
        args.platform, counts[0] if counts else None, args.cmx_slices, blob=not args.no_blob, config=settings(args.config),
        shave_counts=counts if len(counts) > 1 else (), archive=args.archive, start=args.start, end=args.end,
        bytes_in=args.precision == "U8", zero_weights=True, input_shape=(1, 3, args.size[1], args.size[0]) if args.size else None)


def settings(path):
    """The keys of a compile_tool configuration file."""
    from ncs.errors import NcsError

    if path is None:
        return {}
    found = {}
    try:
        with open(path, encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                words = line.split("#")[0].split(None, 1)
                if len(words) == 1:
                    raise NcsError("%s:%d: `KEY VALUE` is wanted, received '%s'" % (path, number, line.strip()))
                if words:
                    found[words[0]] = words[1].strip()
    except OSError as error:
        raise NcsError("%s: %s" % (path, error.strerror)) from error
    return found


def compile_net(args, stem):
    """A prototxt: everything, and the manifest beside it."""
    import os
    import sys

    from ncs.compile import Model, compile_models

    if args.weights is None:
        print("warning: no -w: all weights are zero, as mvNCCompile has it", file=sys.stderr)
    options = options_of(args)
    name = os.path.basename(stem)
    parents = {"mean": args.mean} if args.mean and os.path.isfile(args.mean) else {}
    model = Model(name, args.network, args.weights, transform_of(args, options), labels_of(args.labels), parents=parents)
    manifest, = compile_models([(model, stem)], options)
    if manifest is None:
        print("%s: part of a net, which no manifest describes; wrote %s.onnx" % (name, stem))
    show([path for _, path in options.blobs(stem)] if options.blob else [], args.archive)
    return 0


def compile_model(args):
    """Nets known by name: everything, and the manifests that run_inference.py --model reads."""
    from ncs import models
    from ncs.compile import compile_models
    from ncs.errors import NcsError

    given = {"a network file": args.network, "-in": args.start, "-on": args.end, "-is": args.size, "--labels": args.labels,
             "--scale": args.scale != 1.0, "--order RGB": args.order != "BGR", "--toolkit": args.toolkit != "openvino"}
    unfit = [flag for flag, value in given.items() if value]
    if unfit:
        raise NcsError("--model %s: %s cannot be given with it, the net knows its own" % (args.model, ", ".join(unfit)))
    options = options_of(args)
    jobs = models.jobs(args.model, args.output or "graph", args.weights, args.mean)
    compile_models(jobs, options)
    for model, stem in jobs:
        print("%s: %s -> %s.json" % (model.name, model.weights, stem))
        show([path for _, path in options.blobs(stem)] if options.blob else [], None)
    if options.blob and args.archive:
        print("%s: all blobs in one file" % args.archive)
    return 0


def transform_of(args, options):
    """The Transform of --mean, --scale and --order for the net's input."""
    from caffe.proto.read import read_net
    from caffe.transform import Transform
    from ncs.deploy import deploy

    mean = mean_of(args.mean)
    param = deploy(read_net(args.network).param, options.input_shape)
    shape = next(layer for layer in param.layer if layer.type == "Input").input_param.shape[0].dim
    height, width = (shape[2], shape[3]) if len(shape) == 4 else (None, None)
    size = (height, width) if height else None
    crop = None
    if mean is not None and not isinstance(mean, list) and mean.shape[1:] != size and height == width:
        size, crop = mean.shape[1:], height  # Caffe's way: pictures as large as the mean, then the centre
    return Transform(order=args.order, size=size, crop=crop, mean=mean, scale=args.scale, gray=shape[1] == 1)


def mean_of(text):
    """A mean file's array, or the list of "104,117,123"."""
    from caffe.data.mean import read_mean

    if text is None:
        return None
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        return read_mean(text)


def labels_of(path):
    """The lines of a labels file."""
    from ncs.errors import NcsError

    if path is None:
        return []
    try:
        with open(path, encoding="utf-8") as stream:
            return [line.strip() for line in stream if line.strip()]
    except OSError as error:
        raise NcsError("%s: %s" % (path, error.strerror)) from error


def compile_file(args, stem):
    """An ONNX file or an IR v10: blobs only."""
    from ncs.errors import NcsError
    from ncs.ir import version_of
    from ncs.myriad import compiler

    given = {"-w": args.weights, "-in": args.start, "-on": args.end, "-is": args.size, "--mean": args.mean,
             "-ip U8": args.precision == "U8", "--no-blob": args.no_blob}
    unfit = [flag for flag, value in given.items() if value]
    if unfit:
        raise NcsError("%s: %s are for a prototxt; this file is compiled as it is" % (args.network, ", ".join(unfit)))
    if args.network.endswith(".xml") and version_of(args.network) != 10:
        raise NcsError("%s is IR v%d; the Myriad compiler (OpenVINO 2021.4.2) reads v10 only: give it the ONNX file, or the "
                       "prototxt and caffemodel" % (args.network, version_of(args.network)))
    options = options_of(args)
    if args.platform == "MA2450":
        print("warning: " + compiler.NCS1_WARNING)
    blobs = options.blobs(stem)
    compiler.compile_blobs([compiler.Job(args.network, path, options.platform, shaves, options.cmx_slices, options.config)
                            for shaves, path in blobs])
    if args.archive:
        from ncs.compile import write_blobs_archive

        write_blobs_archive(args.archive, [path for _, path in blobs])
    show([path for _, path in blobs], args.archive)
    return 0


def show(paths, archive):
    """Say what each blob is."""
    from ncs.myriad.blob import read_blob
    from ncs.myriad.report import summary

    for path in paths:
        print("%s: %s" % (path, summary(read_blob(path))))
    if archive and paths:
        print("%s: %d blobs in one file" % (archive, len(paths)))


def with_ncsdk(args):
    """A graph by mvNCCompile; -o is `graph` where not given, as there."""
    import os

    from ncs.compile import Model, net_of
    from ncs.errors import NcsError
    from ncs.toolkit import compile_graph

    if args.network.endswith((".onnx", ".xml")):
        raise NcsError("%s: mvNCCompile reads a prototxt and its caffemodel" % args.network)
    counts = shave_counts(args.shaves)
    if len(counts) > 1:
        raise NcsError("[Error 27] mvNCCompile takes one number of SHAVE cores, received %s" % args.shaves)
    options = options_of(args)
    options.start = options.end = None  # mvNCCompile's own affair
    net = net_of(Model("", args.network, args.weights, None, []), options)
    output = args.output or "graph"
    compile_graph(net, output, counts[0] if counts else None, args.start, args.end, args.size, args.ec)
    print("%s: %d bytes, by mvNCCompile" % (output, os.path.getsize(output)))
    return 0
