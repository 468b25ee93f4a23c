"""The options of `ncs compile` for OAK cameras."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ncs.compiler.compile import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --target and --superblob."""
    parser.add_argument(
        "--target",
        choices=("stick", "oak", "RVC2"),
        default="stick",
        help="oak (or RVC2): OAK cameras; raw pixels in, FP16 out, 6 SHAVE cores, and an NN Archive, NAME.tar.xz, for "
        "depthai",
    )
    parser.add_argument(
        "--superblob",
        action="store_true",
        help="with --target oak: one file for 1 to 16 SHAVE cores, NAME.superblob, also in the NN Archive",
    )


def apply_target(args: argparse.Namespace) -> None:
    """Set the defaults of the target; raise NcsError for options that contradict it."""
    from ncs.errors import NcsError

    args.oak = args.target in ("oak", "RVC2")
    args.inputs = args.inputs or ("U8" if args.oak else "FP32")
    args.outputs = args.outputs or ("FP16" if args.oak else "FP32")
    if args.superblob and not args.oak:
        raise NcsError("--superblob: expected --target oak; a Neural Compute Stick reads no superblob")
    if not args.oak:
        return
    args.shaves = args.shaves or "6"
    conflicts = {
        f"--platform {args.platform}": args.platform != "MA2480",
        "--no-blob": args.no_blob,
        "--toolkit": args.toolkit != "openvino",
    }
    for option in (option for option, given in conflicts.items() if given):
        raise NcsError(f"--target {args.target}: cannot be combined with {option}; an OAK camera has a Myriad X")


def print_files(options: Options, stem: str) -> None:
    """Print the files for an OAK camera."""
    import os

    for suffix, wanted in ((".superblob", options.superblob), (".tar.xz", options.nn_archive)):
        if wanted:
            print(f"{stem}{suffix}: {os.path.getsize(stem + suffix)} bytes")
