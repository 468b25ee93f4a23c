"""Show the contents of a Myriad blob: inputs, outputs, stages, cores, memory."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ncs.myriad.blob import Blob


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "blob",
        nargs="+",
        help="files from `ncs compile` (--archive and --superblob too), compile_tool or blobconverter",
    )
    parser.add_argument("--stages", action="store_true", help="list every stage with its tensors")
    parser.add_argument("--json", action="store_true", help="print everything as JSON, one line per blob")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    import json

    from ncs.myriad.report import stage_table, summary

    for path in args.blob:
        for name, blob in load_blobs(path):
            if args.json:
                print(json.dumps(dict(file=path, **({"name": name} if name else {}), **blob.to_json())))
                continue
            print("{}{}: {}".format(path, f" [{name}]" if name else "", summary(blob)))
            if args.stages:
                print(stage_table(blob))


def load_blobs(path: str) -> list[tuple[str, Blob]]:
    """Read a blob file (its name is ""), an archive of `ncs compile --archive` or a superblob as [(name, Blob)]."""
    import os

    from ncs.myriad import superblob
    from ncs.myriad.archive import is_archive, read_blobs
    from ncs.myriad.blob import parse_blob, read_blob

    if path.endswith(".superblob"):
        return [(f"{count} shaves", parse_blob(superblob.read_superblob(path, count))) for count in superblob.COUNTS]

    if os.path.isfile(path) and is_archive(path):
        return read_blobs(path)
    return [("", read_blob(path))]
