"""Compile a Caffe net, ONNX or IR to one file, `graph` by default, as mvNCCompile did.

The file is a Myriad blob, for Myriad X (Neural Compute Stick 2) unless -ma2450 is given. `ncs run`, the simulator and
`ncs.mvnc_compat` read it. For the IR and ONNX files of the same net use `ncs compile`.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `ncs compile`, which include those of mvNCCompile."""
    from ncs.cli import compile

    compile.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command and return the exit status."""
    import contextlib
    import os
    import shutil
    import sys
    import tempfile

    from caffe.utils.atomic_io import atomic_write
    from ncs.cli import compile

    check_arguments(args)
    graph = args.output or "graph"
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        args.output, args.no_ir = os.path.join(scratch, "graph.blob"), True
        with contextlib.redirect_stdout(sys.stderr):
            status = compile.run(args)
        if status == 0:
            with atomic_write(graph) as temporary:
                shutil.copyfile(args.output, temporary)
            print(f"{graph}: {os.path.getsize(graph)} bytes")
    return status


def check_arguments(args: argparse.Namespace) -> None:
    """Raise NcsError for what does not give exactly one graph."""
    from ncs.cli.compile import shave_counts
    from ncs.errors import NcsError

    if args.network and args.network.endswith((".meta", ".pb")):
        raise NcsError(
            f"[Error 1] {args.network}: expected a prototxt, .onnx or .xml; convert TensorFlow to ONNX first"
        )
    if len(shave_counts(args.shaves)) > 1:
        raise NcsError(f"[Error 27] -s: expected one number of SHAVE cores, received {args.shaves}; see `ncs compile`")
    for option in ("model", "archive", "no_blob"):
        if getattr(args, option):
            raise NcsError(f"--{option.replace('_', '-')}: expected one network and one graph; use `ncs compile`")
