"""Compile AgeNet and GenderNet for a Neural Compute Stick, and for OpenVINO's CPU, GPU and NPU.

The latest snapshot of each becomes graph/NAME.onnx, an FP16 IR (.xml, .bin), a Myriad blob, and the manifest NAME.json
that run_inference.py reads. Neither a stick nor a system package is needed; pip fetches Intel's compiler once, and its
hash is verified.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from agegender.workspace import MEAN_FILE, NET_NAMES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = " and ".join(NET_NAMES)
    parser.add_argument("nets", nargs="*", metavar="NET", help=f"which nets (default: {names})")
    parser.add_argument("-w", dest="weights", help="caffemodel of a single net (default: the latest snapshot)")
    parser.add_argument(
        "-s", dest="shaves", type=int, help="SHAVE cores, as mvNCCompile's -s (default: the compiler's)"
    )
    parser.add_argument("--cmx-slices", type=int, help="CMX slices (default: as many as SHAVE cores)")
    parser.add_argument("-o", dest="folder", default="graph", help="output directory (default: graph)")
    parser.add_argument(
        "-ma2480",
        dest="platform",
        action="store_const",
        const="MA2480",
        default="MA2480",
        help="for Myriad X, Neural Compute Stick 2 (default)",
    )
    parser.add_argument(
        "-ma2450", dest="platform", action="store_const", const="MA2450", help="for Myriad 2, the first stick"
    )
    parser.add_argument("-ec", action="store_true", help="accepted and ignored: the compiler optimizes concats itself")
    parser.add_argument("--mean", help=f"mean file of the training (default: {MEAN_FILE})")
    parser.add_argument("--model", metavar="NAME", help="a zoo net instead (`agegender zoo list`), with its own mean")
    parser.add_argument(
        "-ip",
        dest="inputs",
        choices=("FP32", "FP16", "U8"),
        default="FP32",
        help="input type of the blob; with U8 it takes the image's bytes and subtracts the mean itself",
    )
    parser.add_argument("-op", dest="outputs", choices=("FP32", "FP16"), default="FP32", help="output type of the blob")
    parser.add_argument("--no-blob", action="store_true", help="ONNX and IR only; nothing is downloaded")


def run(args: argparse.Namespace) -> None:
    from agegender import workspace, zoo
    from agegender.errors import AgeGenderError
    from agegender.zoo import compile
    from ncs.compiler.compile import compile_models

    if args.model:
        nets = zoo.resolve(args.model)
    else:
        nets = [zoo.script_net(name) for name in args.nets or NET_NAMES]
        if args.weights and len(nets) != 1:
            raise AgeGenderError(f"-w is for a single net: name it ({', '.join(NET_NAMES)})")
    options = _options(args)
    jobs = [compile.job(group, args.folder, args.weights, args.mean) for group in compile.grouped(nets)]
    compile_models(jobs, options)
    for model, stem in jobs:
        _show(model, stem, options)
    option = f"--model {args.model} " if args.model else ""
    mean = "" if args.model else f" --mean_file {workspace.MEAN_NPY}"
    print(f"Next: ./run_inference.py {option}--image_path P{mean}", file=sys.stderr)


def _options(args: argparse.Namespace) -> Any:
    from ncs.compiler.compile import Options

    bytes_in = args.inputs == "U8"
    return Options(
        args.platform,
        args.shaves,
        args.cmx_slices,
        blob=not args.no_blob,
        ir_v10=True,
        bytes_in=bytes_in,
        inputs="" if bytes_in else args.inputs,
        outputs=args.outputs,
    )


def _show(model: Any, stem: str, options: Any) -> None:
    """Print the files of a net and what its blob holds."""
    suffixes = "onnx,xml,bin,blob,json" if options.blob else "onnx,xml,bin,json"
    print(f"{model.name}: {model.weights} -> {stem}.{{{suffixes}}}")
    if options.blob:
        from ncs.myriad.blob import read_blob
        from ncs.myriad.report import summary

        print(summary(read_blob(stem + ".blob")))
