"""Compile a Caffe net, ONNX or IR for a Neural Compute Stick, and for OpenVINO's CPU, GPU and NPU.

The options are mvNCCompile's where it had one. A prototxt (train_val or deploy) becomes NAME.onnx, an FP16 IR
(NAME.xml, .bin), a Myriad blob and the manifest NAME.json; an ONNX file or an IR (v10, or today's v11) becomes a blob.
"""

from __future__ import annotations


def add_arguments(parser):
    from ncs.cli import _net

    parser.add_argument("network", nargs="?", help="network.prototxt, .onnx, or .xml (IR)")
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="a net known by name instead (`agegender zoo list`); its weights, "
        "mean and labels are its own, -o is the folder of the results (default: graph)",
    )
    _net.add_arguments(parser)
    parser.add_argument(
        "-s",
        dest="shaves",
        metavar="N[,N…]",
        help="SHAVE cores (default: the compiler chooses); several give NAME_4shave.blob …",
    )
    parser.add_argument("--cmx-slices", type=int, metavar="N", help="CMX slices (default: as many as SHAVE cores)")
    parser.add_argument(
        "-o", dest="output", help="result: FILE.blob, or the stem of all files (default: the network's name)"
    )
    parser.add_argument(
        "--platform",
        choices=("MA2480", "MA2450"),
        default="MA2480",
        help="Myriad X, Neural Compute Stick 2 (default), or Myriad 2, the first stick",
    )
    for chip in ("MA2480", "MA2450"):
        parser.add_argument(
            "-" + chip.lower(), dest="platform", action="store_const", const=chip, help="--platform " + chip
        )
    parser.add_argument(
        "-ip",
        dest="inputs",
        choices=("FP32", "FP16", "U8"),
        default="FP32",
        help="what the blob is fed; U8: the picture's bytes (a prototxt's --mean and --scale go into the graph)",
    )
    parser.add_argument(
        "-op", dest="outputs", choices=("FP32", "FP16"), default="FP32", help="what the blob answers with"
    )
    parser.add_argument("--batch", type=_net.positive, default=1, metavar="N", help="pictures at a time (default 1)")
    parser.add_argument("--mean", metavar="FILE|B,G,R", help="mean file, or one value a channel")
    parser.add_argument("--scale", type=float, default=1.0, help="factor after the mean, e.g. 0.00392157 (default 1)")
    parser.add_argument("--order", choices=("BGR", "RGB"), default="BGR", help="channels as trained (default BGR)")
    parser.add_argument("--labels", metavar="FILE", help="one name a line, one line an output")
    parser.add_argument(
        "--archive", metavar="FILE", help="put all blobs into this one file as well (`ncs inspect` reads it)"
    )
    parser.add_argument("-c", dest="config", metavar="FILE", help="settings of the compiler: lines `KEY VALUE`")
    parser.add_argument("--no-blob", action="store_true", help="ONNX and IR only; nothing is fetched")
    parser.add_argument("--no-ir", action="store_true", help="no IR for CPU, GPU and NPU")
    parser.add_argument(
        "--toolkit",
        choices=("openvino", "ncsdk"),
        default="openvino",
        help="ncsdk: have mvNCCompile, which must be on the PATH, make a graph for the first stick",
    )


def run(args):
    from ncs.cli import _net
    from ncs.errors import NcsError

    if args.model:
        return compile_model(args)
    if args.network is None:
        raise NcsError("what is to be compiled? give a network file, or --model NAME")
    _net.check_file(args.network, ".prototxt", ".onnx", ".xml")
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
        raise NcsError(f"[Error 27] -s takes a number of SHAVE cores or a list (4,8); received '{text}'")
    return tuple(dict.fromkeys(int(word) for word in words))


def options_of(args):
    """ncs.compiler.compile.Options of the command line."""
    from ncs.cli import _net
    from ncs.compiler.compile import Options

    counts = shave_counts(args.shaves)
    return Options(
        args.platform,
        counts[0] if counts else None,
        args.cmx_slices,
        blob=not args.no_blob,
        ir=not args.no_ir,
        config=settings(args.config),
        shave_counts=counts if len(counts) > 1 else (),
        archive=args.archive,
        start=args.start,
        end=args.end,
        zero_weights=True,
        inputs=args.inputs,
        outputs=args.outputs,
        input_shape=(args.batch, *_net.input_shape(args)[1:]),
    )


def net_options(args):
    """The same for a net that is exported here: with -ip U8 the graph itself takes bytes, on every device."""
    import dataclasses

    options = options_of(args)
    return dataclasses.replace(options, bytes_in=True, inputs="") if options.inputs == "U8" else options


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
        raise NcsError(f"{path}: {error.strerror}") from error
    return found


def compile_net(args, stem):
    """A prototxt: everything, and the manifest beside it."""
    import os

    from caffe.proto.read import read_net
    from ncs.cli import _net
    from ncs.compiler.compile import Model, compile_models

    _net.warn_of_zero_weights(args)
    options = net_options(args)
    name, param = os.path.basename(stem), read_net(args.network).param
    say_batch(args, param)
    parents = {"mean": args.mean} if args.mean and os.path.isfile(args.mean) else {}
    model = Model(
        name,
        args.network,
        args.weights,
        transform_of(args, options, param),
        label_names(args.labels),
        parents=parents,
        param=param,
    )
    (manifest,) = compile_models([(model, stem)], options)
    made = ["onnx"] + (["xml", "bin"] if options.ir else []) + (["json"] if manifest else [])
    print("{}: wrote {}.{{{}}}".format(name, stem, ",".join(made)))
    show([path for _, path in options.blobs(stem)] if options.blob else [], args.archive)
    return 0


def compile_model(args):
    """Nets known by name: everything, and the manifests that run_inference.py --model reads."""
    from ncs.compiler import model_plugins
    from ncs.compiler.compile import compile_models
    from ncs.errors import NcsError

    given = {
        "a network file": args.network,
        "-in": args.start,
        "-on": args.end,
        "-is": args.size,
        "--labels": args.labels,
        "--scale": args.scale != 1.0,
        "--order RGB": args.order != "BGR",
        "--toolkit": args.toolkit != "openvino",
    }
    unfit = [flag for flag, value in given.items() if value]
    if unfit:
        raise NcsError(
            "--model {}: {} cannot be given with it, the net knows its own".format(args.model, ", ".join(unfit))
        )
    options = net_options(args)
    jobs = model_plugins.jobs(args.model, args.output or "graph", args.weights, args.mean)
    compile_models(jobs, options)
    for model, stem in jobs:
        print(f"{model.name}: {model.weights} -> {stem}.json")
        show([path for _, path in options.blobs(stem)] if options.blob else [], None)
    if options.blob and args.archive:
        print(f"{args.archive}: all blobs in one file")
    return 0


def say_batch(args, param):
    """Deploy files of old ask for ten pictures at a time; a stick is given one."""
    for layer in param.layer:
        if layer.type == "Input" and len(layer.input_param.shape) and len(layer.input_param.shape[0].dim) == 4:
            asked = layer.input_param.shape[0].dim[0]
            if asked != args.batch:
                print("%s takes %d pictures at a time; compiled for %d (--batch)" % (args.network, asked, args.batch))
            return


def transform_of(args, options, param):
    """The Transform of --mean, --scale and --order for the net's input."""
    from caffe.convert.deploy import deploy
    from caffe.device.transform import Transform
    from ncs.cli import _net
    from ncs.errors import NcsError

    mean = _net.mean_of(args.mean)
    param = deploy(param, options.input_shape)
    shape = next(layer for layer in param.layer if layer.type == "Input").input_param.shape[0].dim
    if isinstance(mean, list) and len(shape) > 1 and len(mean) not in (1, shape[1]):
        raise NcsError("--mean gives %d values, the net's input has %d channels" % (len(mean), shape[1]))
    if not args.scale:
        raise NcsError("--scale 0 makes every picture the same")
    if len(shape) != 4:
        return Transform(order=args.order, mean=mean, scale=args.scale)
    size, crop = (shape[2], shape[3]), None
    if mean is not None and not isinstance(mean, list) and mean.shape[1:] != size and size[0] == size[1]:
        size, crop = mean.shape[1:], size[0]  # Caffe's way: pictures as large as the mean, then the centre
    return Transform(order=args.order, size=size, crop=crop, mean=mean, scale=args.scale, gray=shape[1] == 1)


def label_names(path):
    """The lines of a labels file."""
    from ncs.errors import NcsError

    if path is None:
        return []
    try:
        with open(path, encoding="utf-8") as stream:
            return [line.strip() for line in stream if line.strip()]
    except OSError as error:
        raise NcsError(f"{path}: {error.strerror}") from error


def compile_file(args, stem):
    """An ONNX file or an IR: blobs only."""
    import tempfile

    from ncs.errors import NcsError
    from ncs.myriad import compiler, model_input

    unfit = {
        "-w": args.weights,
        "-in": args.start,
        "-on": args.end,
        "--mean": args.mean,
        "--scale": args.scale != 1,
        "--labels": args.labels,
        "--no-blob": args.no_blob,
    }
    unfit = [flag for flag, value in unfit.items() if value]
    if unfit:
        raise NcsError(
            "{}: {} are for a prototxt; of this file only the blob is made".format(args.network, ", ".join(unfit))
        )
    options = options_of(args)
    if args.platform == "MA2450":
        print("warning: " + compiler.NCS1_WARNING)
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        model = model_input.readable(args.network, scratch, options.input_shape, print)
        jobs = options.jobs(model, stem)
        try:
            compiler.compile_blobs(jobs)
        except NcsError as error:  # the user knows the file by its own name
            error.args = (str(error).replace(model, args.network),)
            raise
    paths = [job.output for job in jobs]
    if args.archive:
        from ncs.compiler.compile import write_blobs_archive

        write_blobs_archive(args.archive, paths)
    show(paths, args.archive)
    return 0


def show(paths, archive):
    """Say what each blob is."""
    from ncs.myriad.blob import read_blob
    from ncs.myriad.report import summary

    for path in paths:
        print(f"{path}: {summary(read_blob(path))}")
    if archive and paths:
        print("%s: %d blobs in one file" % (archive, len(paths)))


def with_ncsdk(args):
    """A graph by mvNCCompile; -o is `graph` where not given, as there."""
    import os

    from ncs.compiler.compile import Model, net_of
    from ncs.compiler.ncsdk import compile_graph
    from ncs.errors import NcsError

    if args.network.endswith((".onnx", ".xml")):
        raise NcsError(f"{args.network}: mvNCCompile reads a prototxt and its caffemodel")
    counts = shave_counts(args.shaves)
    if len(counts) > 1:
        raise NcsError(f"[Error 27] mvNCCompile takes one number of SHAVE cores, received {args.shaves}")
    options = options_of(args)
    options.start = options.end = None  # mvNCCompile's own affair
    net = net_of(Model("", args.network, args.weights, None, []), options, build_only=True)
    output = args.output or "graph"
    compile_graph(net, output, counts[0] if counts else None, args.start, args.end, args.size, args.ec)
    print("%s: %d bytes, by mvNCCompile" % (output, os.path.getsize(output)))
    return 0
