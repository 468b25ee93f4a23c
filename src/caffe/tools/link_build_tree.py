"""Create build/tools and build/examples in a directory, so that Caffe's own scripts run unchanged.

link_build_tree [DIR]: DIR is a checkout of Caffe or any directory from which its examples/*.sh are started. Every
program becomes a small shell script that starts this package's command of the same name, with and without `.bin`.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys

from caffe.errors import CaffeError

MARK = "# created by caffe link_build_tree"
TOOLS = [
    "caffe",
    "compute_image_mean",
    "convert_annoset",
    "convert_imageset",
    "extract_features",
    "upgrade_net_proto_binary",
    "upgrade_net_proto_text",
    "upgrade_solver_proto_text",
]
EXAMPLES = {
    "cifar10": "convert_cifar_data",
    "cpp_classification": "classification",
    "mnist": "convert_mnist_data",
    "siamese": "convert_mnist_siamese_data",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the directory."""
    parser.add_argument("directory", metavar="DIR", nargs="?", default=".", help="where (default: current directory)")


def run(args: argparse.Namespace) -> None:
    """Write the scripts; refuse to replace programs that this command did not write."""
    from caffe.utils.atomic_io import write_bytes

    if not os.path.isdir(args.directory):
        raise CaffeError(f"'{args.directory}' is not a directory")
    programs = {os.path.join(args.directory, path): command for path, command in tree()}
    foreign = [path for path in programs if os.path.lexists(path) and not _is_ours(path)]
    if foreign:
        raise CaffeError(
            f"{foreign[0]} exists and is not a script of this command: a build of Caffe? Nothing is changed"
        )
    for path, command in programs.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_bytes(path, script(command))
        os.chmod(path, 0o755)
    print(f"{len(programs)} programs in {os.path.join(args.directory, 'build')}")


def tree() -> list[tuple[str, str]]:
    """Return the (path, command) of every program in the tree; the command of `caffe` itself is ""."""
    names = [(os.path.join("build", "tools", name), "" if name == "caffe" else name) for name in TOOLS]
    names += [(os.path.join("build", "examples", folder, name), name) for folder, name in EXAMPLES.items()]
    return [(path + end, command) for path, command in names for end in ("", ".bin")]


def script(command: str) -> str:
    """Return a shell script that runs `caffe COMMAND` with this interpreter, not modules of the current directory."""
    words = ["env", "PYTHONSAFEPATH=1", sys.executable, "-m", "caffe", *([command] if command else [])]
    return f'#!/bin/sh\n{MARK}\nexec {shlex.join(words)} "$@"\n'


def _is_ours(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return MARK in stream.read(200)
    except OSError:
        return False
