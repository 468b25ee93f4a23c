"""Fetch, check or locate the Myriad compiler that `ncs compile` uses."""

from __future__ import annotations


def add_arguments(parser):
    parser.add_argument("--from", dest="wheels", metavar="FOLDER", help="take the wheels from there")
    parser.add_argument("--verify", action="store_true", help="check the SHA-256 of every unpacked file")


def run(args):
    from ncs.errors import NcsError
    from ncs.myriad import toolchain

    found = toolchain.fetch(args.wheels) if args.wheels else toolchain.toolchain()
    damaged = toolchain.verify(found) if args.verify else []
    if damaged:
        raise NcsError(
            "{}: damaged: {}; remove the folder and run `ncs toolchain` again".format(found.folder, ", ".join(damaged))
        )
    print("{}: {}{}".format(found.version, found.folder, ", every file verified" if args.verify else ""))
