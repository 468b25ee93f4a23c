"""Download, verify or locate the Myriad compiler that `ncs compile` uses."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--from", dest="wheels", metavar="FOLDER", help="install from the wheels in FOLDER instead of downloading them"
    )
    parser.add_argument("--verify", action="store_true", help="check the SHA-256 of every unpacked file")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from ncs.errors import NcsError
    from ncs.myriad import toolchain

    tools = toolchain.fetch(args.wheels) if args.wheels else toolchain.toolchain()
    damaged = toolchain.verify(tools) if args.verify else []
    if damaged:
        raise NcsError(
            f"{tools.folder}: damaged: {', '.join(damaged)}; remove the folder and run `ncs toolchain` again"
        )
    print("{}: {}{}".format(tools.version, tools.folder, ", every file verified" if args.verify else ""))
