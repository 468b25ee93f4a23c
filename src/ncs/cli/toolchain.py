"""Download, verify or locate the Myriad compiler that `ncs compile` uses."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--from", dest="wheels", metavar="FOLDER", help="install from the wheels in FOLDER instead of downloading them"
    )
    parser.add_argument("--verify", action="store_true", help="check the SHA-256 of every unpacked file (always done)")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from ncs.myriad import toolchain

    tools = toolchain.fetch(args.wheels) if args.wheels else toolchain.toolchain()
    toolchain.check(tools)
    print(f"{tools.version}: {tools.folder}, every file verified")
