"""Compile a Caffe net, ONNX or IR for a Neural Compute Stick, and for OpenVINO's CPU, GPU and NPU.

The options follow mvNCCompile where it has the same option. A prototxt (train_val or deploy) is compiled to NAME.onnx,
an FP16 IR (NAME.xml, .bin), a Myriad blob and the manifest NAME.json. An ONNX file or an IR (v10 or v11) is compiled to
a blob.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caffe.device.transform import Transform
    from caffe.proto import caffe_pb2
    from ncs.compiler.compile import Options
    from ncs.myriad.compile_process import CompileProcess
    from ncs.runtime.manifest import Head


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    from caffe.utils.cli import dialect
    from ncs.cli import _net, _oak

    parser.add_argument(
        "network", nargs="?", help="network.prototxt, .onnx, .xml (IR), or a .caffemodel with its net and weights"
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="compile a registered net with its own weights, mean and labels; -o is then the output folder "
        "(default: graph)",
    )
    _net.add_arguments(parser)
    dialect.add_option(parser)
    parser.add_argument(
        "-s",
        dest="shaves",
        metavar="N[,N…]",
        help="SHAVE cores (default: the compiler chooses); a list gives one blob per number, NAME_4shave.blob …",
    )
    parser.add_argument("--cmx-slices", type=int, metavar="N", help="CMX slices (default: the number of SHAVE cores)")
    parser.add_argument(
        "-o", dest="output", help="FILE.blob, or the common stem of all output files (default: the network's name)"
    )
    parser.add_argument(
        "--platform",
        choices=("MA2480", "MA2450"),
        default="MA2480",
        help="MA2480: Neural Compute Stick 2, Myriad X (default); MA2450: Neural Compute Stick 1, Myriad 2",
    )
    _oak.add_arguments(parser)
    for chip in ("MA2480", "MA2450"):
        parser.add_argument(
            "-" + chip.lower(), dest="platform", action="store_const", const=chip, help="--platform " + chip
        )
    parser.add_argument(
        "-ip",
        dest="inputs",
        choices=("FP32", "FP16", "U8"),
        help="input type of the blob (default FP32; U8 for an OAK camera); U8: raw pixels (for a prototxt, --mean and "
        "--scale become part of the graph)",
    )
    parser.add_argument(
        "-op",
        dest="outputs",
        choices=("FP32", "FP16"),
        help="output type of the blob (default FP32; FP16 for an OAK camera)",
    )
    parser.add_argument("--batch", type=_net.positive_int, default=1, metavar="N", help="batch size (default 1)")
    parser.add_argument("--mean", metavar="FILE|B,G,R", help="mean file, or one value per channel")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="factor applied after the mean, e.g. 0.00392157 (default 1)"
    )
    parser.add_argument(
        "--order", choices=("BGR", "RGB"), default="BGR", help="channel order the net was trained with (default BGR)"
    )
    parser.add_argument(
        "--labels",
        action="append",
        metavar="[OUTPUT=]FILE",
        help="text file with one class name per line; once per output, as OUTPUT=FILE, for a net with several",
    )
    parser.add_argument(
        "--archive", metavar="FILE", help="also write all blobs into one archive (`ncs inspect` reads it)"
    )
    parser.add_argument("-c", dest="config", metavar="FILE", help="compiler settings, one `KEY VALUE` per line")
    parser.add_argument(
        "--no-blob", action="store_true", help="write ONNX and IR only; does not download the Myriad compiler"
    )
    parser.add_argument(
        "--no-ir", action="store_true", help="do not write an IR for CPU, GPU and NPU, nor IR v10 for OpenVINO 2021.4"
    )
    parser.add_argument(
        "--toolkit",
        choices=("openvino", "ncsdk"),
        default="openvino",
        help="ncsdk: run mvNCCompile (must be on the PATH) to compile a graph for the Neural Compute Stick 1",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command and return the exit status."""
    from ncs.cli import _net, _oak
    from ncs.errors import NcsError

    _oak.apply_target(args)
    if args.model:
        return compile_model(args)
    if args.network is None:
        raise NcsError("nothing to compile: give a network file, or --model NAME")
    if args.weights is None and args.network.lower().endswith(".caffemodel"):
        args.weights = args.network
        _net.check_file(args.network, ".caffemodel")
    else:
        _net.check_file(args.network, ".prototxt", ".onnx", ".xml")
    stem = output_stem(args.network, args.output)
    if args.toolkit == "ncsdk":
        return compile_with_ncsdk(args)
    if args.network.endswith((".onnx", ".xml")):
        return compile_file(args, stem)
    return compile_net(args, stem)


def output_stem(network: str, output: str | None) -> str:
    """Return the common stem of the output files: from -o, else the network's name in the current folder."""
    import os

    if output is None:
        return os.path.splitext(os.path.basename(network))[0]
    stem, suffix = os.path.splitext(output)
    return stem if suffix in (".blob", ".onnx", ".xml", ".json") else output


def shave_counts(text: str | None) -> tuple[int, ...]:
    """Parse "4,8" into (4, 8), and None into ()."""
    from ncs.errors import NcsError

    parts = [] if text is None else text.split(",")
    if any(not part.strip().isdigit() for part in parts):
        raise NcsError(f"[Error 27] -s: expected a number of SHAVE cores or a list (4,8), received '{text}'")
    return tuple(dict.fromkeys(int(part) for part in parts))


def build_options(args: argparse.Namespace) -> Options:
    """Return the ncs.compiler.compile.Options of the command line."""
    from ncs.cli import _net
    from ncs.compiler.compile import Options

    counts, oak = shave_counts(args.shaves), getattr(args, "oak", False)
    return Options(
        args.platform,
        counts[0] if counts else None,
        args.cmx_slices,
        blob=not args.no_blob,
        ir=not args.no_ir,
        ir_v10=not args.no_ir,
        config={**({"MYRIAD_THROUGHPUT_STREAMS": "1"} if oak else {}), **read_settings(args.config)},
        shave_counts=counts if len(counts) > 1 else (),
        archive=args.archive,
        start=args.start,
        end=args.end,
        zero_weights=True,
        inputs=args.inputs,
        outputs=args.outputs,
        nn_archive=oak,
        superblob=args.superblob,
        input_shape=(args.batch, *_net.input_shape(args)[1:]),
    )


def net_options(args: argparse.Namespace) -> Options:
    """Return the Options for a Caffe net, where -ip U8 makes the graph take raw pixels on every device."""
    import dataclasses

    options = build_options(args)
    return dataclasses.replace(options, bytes_in=True, inputs="") if options.inputs == "U8" else options


def read_settings(path: str | None) -> dict[str, str]:
    """Read a configuration file of compile_tool: one `KEY VALUE` per line, comments after #."""
    from caffe.utils.input_file import read_text
    from ncs.errors import NcsError

    if path is None:
        return {}
    settings = {}
    for number, line in enumerate(read_text(path).split("\n"), 1):
        fields = line.split("#")[0].split(None, 1)
        if len(fields) == 1:
            raise NcsError(f"{path}:{number}: expected `KEY VALUE`, received '{line.strip()}'")
        if fields:
            settings[fields[0]] = fields[1].strip()
    return settings


@contextlib.contextmanager
def compiler_started(args: argparse.Namespace) -> Iterator[CompileProcess | None]:
    """Start the compiler's process, which loads its libraries while the net is read; None if no blob is wanted."""
    from ncs.myriad import compile_process

    process = None if args.no_blob else compile_process.start_early()
    try:
        yield process
    finally:
        if process:
            process.close()


def compile_net(args: argparse.Namespace, stem: str) -> int:
    """Compile a prototxt to all formats and write its manifest."""
    with compiler_started(args) as started:
        return _compile_net(args, stem, started)


def _compile_net(args, stem, started):
    import os

    from caffe.proto.read import read_net
    from ncs.cli import _net, _oak
    from ncs.compiler.compile import Model, compile_models

    _net.warn_of_zero_weights(args)
    options = net_options(args)
    name, param = os.path.basename(stem), read_net(args.network, args.dialect).param
    report_batch(args, param)
    parents = {"mean": args.mean} if args.mean and os.path.isfile(args.mean) else {}
    labels, heads = read_all_labels(args.labels)
    model = Model(
        name,
        args.network,
        args.weights,
        build_transform(args, options, param),
        labels,
        parents=parents,
        param=param,
        heads=heads,
    )
    (manifest,) = compile_models([(model, stem)], options, started=started)
    suffixes = ["onnx"] if os.path.isfile(stem + ".onnx") else []
    suffixes += (["xml", "bin"] if options.ir else []) + (["json"] if manifest else [])
    if suffixes:
        print("{}: wrote {}.{{{}}}".format(name, stem, ",".join(suffixes)))
    if os.path.isfile(stem + "_v10.xml") and options.ir:
        print(f"{name}: wrote {stem}_v10.{{xml,bin}} for OpenVINO 2020 to 2021.4")
    print_summaries([path for _, path in options.blobs(stem)] if options.blob else [], args.archive)
    _oak.print_files(options, stem)
    return 0


def compile_model(args: argparse.Namespace) -> int:
    """Compile registered nets to all formats and write their manifests."""
    from ncs.cli import _oak
    from ncs.compiler import model_plugins
    from ncs.compiler.compile import compile_models
    from ncs.errors import NcsError

    conflicts = {
        "a network file": args.network,
        "-in": args.start,
        "-on": args.end,
        "-is": args.size,
        "--labels": args.labels,
        "--scale": args.scale != 1.0,
        "--order RGB": args.order != "BGR",
        "--toolkit": args.toolkit != "openvino",
    }
    flags = [flag for flag, value in conflicts.items() if value]
    if flags:
        raise NcsError(
            f"--model {args.model}: cannot be combined with {', '.join(flags)}; the net defines these itself"
        )
    options = net_options(args)
    jobs = model_plugins.jobs(args.model, args.output or "graph", args.weights, args.mean)
    with compiler_started(args) as started:
        compile_models(jobs, options, started=started)
    for model, stem in jobs:
        print(f"{model.name}: {model.weights} -> {stem}.json")
        print_summaries([path for _, path in options.blobs(stem)] if options.blob else [], None)
        _oak.print_files(options, stem)
    if options.blob and args.archive:
        print(f"{args.archive}: all blobs in one file")
    return 0


def report_batch(args: argparse.Namespace, param: caffe_pb2.NetParameter) -> None:
    """Print a note if the prototxt's batch size (10 in many deploy files) is not the compiled one."""
    for layer in param.layer:
        if layer.type == "Input" and len(layer.input_param.shape) and len(layer.input_param.shape[0].dim) == 4:
            batch = layer.input_param.shape[0].dim[0]
            if batch != args.batch:
                print(f"{args.network} has batch size {batch}; compiled for {args.batch} (--batch)")
            return


def build_transform(args: argparse.Namespace, options: Options, param: caffe_pb2.NetParameter) -> Transform:
    """Return the Transform of --mean, --scale and --order for the net's input."""
    from caffe.convert.deploy import deploy
    from caffe.device.transform import Transform
    from ncs.cli import _net
    from ncs.errors import NcsError

    mean = _net.parse_mean(args.mean)
    param = deploy(param, options.input_shape)
    shape = next(layer for layer in param.layer if layer.type == "Input").input_param.shape[0].dim
    if isinstance(mean, list) and len(shape) > 1 and len(mean) not in (1, shape[1]):
        raise NcsError(f"--mean has {len(mean)} values, the net's input has {shape[1]} channels")
    if not args.scale:
        raise NcsError("--scale 0 would make every input the same")
    if len(shape) != 4:
        return Transform(order=args.order, mean=mean, scale=args.scale)
    size, crop = (shape[2], shape[3]), None
    if mean is not None and not isinstance(mean, list) and mean.shape[1:] != size and size[0] == size[1]:
        size, crop = mean.shape[1:], size[0]  # as in Caffe: resize to the size of the mean, then crop the centre
    return Transform(order=args.order, size=size, crop=crop, mean=mean, scale=args.scale, gray=shape[1] == 1)


def read_all_labels(arguments: Sequence[str] | None) -> tuple[list[str], list[Head]]:
    """Return (class names of a single output, Heads of the outputs that are named as OUTPUT=FILE)."""
    import os

    from ncs.errors import NcsError
    from ncs.runtime.manifest import Head

    heads, single = [], []
    for argument in arguments or ():
        output, equals, path = argument.partition("=")
        if equals and not os.path.exists(argument):
            heads.append(Head(output, output, read_labels(path)))
        else:
            single.append(argument)
    if len(single) > 1 or (single and heads):
        raise NcsError(
            f"--labels: expected one FILE, or OUTPUT=FILE for every output, received {', '.join(arguments or ())}"
        )
    return (read_labels(single[0]) if single else []), heads


def read_labels(path: str) -> list[str]:
    """Return the non-empty lines of a labels file."""
    from caffe.utils.input_file import read_text

    return [line.strip() for line in read_text(path).split("\n") if line.strip()]


def compile_file(args: argparse.Namespace, stem: str) -> int:
    """Compile an ONNX file or an IR to blobs."""
    import os
    import tempfile

    from ncs.cli import _oak
    from ncs.compiler import model_input, oak_files
    from ncs.errors import NcsError
    from ncs.myriad import compiler, known_faults

    conflicts = {
        "-w": args.weights,
        "-in": args.start,
        "-on": args.end,
        "--mean": args.mean,
        "--scale": args.scale != 1,
        "--labels": args.labels,
        "--no-blob": args.no_blob,
    }
    flags = [flag for flag, value in conflicts.items() if value]
    if flags:
        raise NcsError(
            f"{args.network}: {', '.join(flags)} apply to a prototxt only; this file is compiled to a blob only"
        )
    options = build_options(args)
    if args.platform == "MA2450":
        print("warning: " + compiler.NCS1_WARNING)
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        model = model_input.readable(args.network, scratch, options.input_shape, print)
        if model.endswith(".onnx"):
            for text in known_faults.warnings(list(known_faults.nodes(model))):
                print("warning: " + text)
        jobs = options.jobs(model, stem)
        try:
            compiler.compile_blobs(jobs)
            oak_files.write_superblobs([(model, stem)], options)
        except NcsError as error:  # name the user's file, not the temporary copy
            error.args = (str(error).replace(model, args.network),)
            raise
    paths = [job.output for job in jobs]
    if args.archive:
        from ncs.compiler.compile import write_blobs_archive

        write_blobs_archive(args.archive, paths)
    oak_files.write_nn_archive(options, stem, os.path.basename(stem), None, args.order)
    print_summaries(paths, args.archive)
    _oak.print_files(options, stem)
    return 0


def print_summaries(paths: Sequence[str], archive: str | None) -> None:
    """Print a summary of each blob."""
    from ncs.myriad.blob import read_blob
    from ncs.myriad.report import summary

    for path in paths:
        print(f"{path}: {summary(read_blob(path))}")
    if archive and paths:
        print(f"{archive}: {len(paths)} blobs in one file")


def compile_with_ncsdk(args: argparse.Namespace) -> int:
    """Compile a graph with mvNCCompile; -o defaults to `graph`, as there."""
    import os

    from ncs.compiler.compile import Model, build_net
    from ncs.compiler.ncsdk import compile_graph
    from ncs.errors import NcsError

    if args.network.endswith((".onnx", ".xml", ".caffemodel")):
        raise NcsError(f"{args.network}: mvNCCompile compiles a prototxt and its caffemodel only")
    counts = shave_counts(args.shaves)
    if len(counts) > 1:
        raise NcsError(f"[Error 27] mvNCCompile: expected one number of SHAVE cores, received {args.shaves}")
    options = build_options(args)
    options.start = options.end = None  # mvNCCompile cuts the net itself
    net = build_net(Model("", args.network, args.weights, None, []), options, build_only=True)
    output = args.output or "graph"
    compile_graph(net, output, counts[0] if counts else None, args.start, args.end, args.size, args.ec)
    print(f"{output}: {os.path.getsize(output)} bytes, by mvNCCompile")
    return 0
