"""Fetch, check or locate the Myriad compiler that `ncs compile` uses."""

from __future__ import annotations


def add_arguments(parser):
    parser.add_argument("--from", dest="wheels", metavar="FOLDER", help="take the wheels from there")
    parser.add_argument("--verify", action="store_true", help="check the SHA-256 of every unpacked file (always done)")


def run(args):
    from ncs.myriad import toolchain

    found = toolchain.fetch(args.wheels) if args.wheels else toolchain.toolchain()
    toolchain.check(found)
    print(f"{found.version}: {found.folder}, every file verified")
