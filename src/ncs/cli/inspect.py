"""Tell everything that is in a Myriad blob: inputs, outputs, stages, cores, memory."""

from __future__ import annotations


def add_arguments(parser):
    parser.add_argument(
        "blob", nargs="+", help="files from `ncs compile` (--archive too), compile_tool or blobconverter"
    )
    parser.add_argument("--stages", action="store_true", help="list every stage with its arrays")
    parser.add_argument("--json", action="store_true", help="print all as JSON, one line a blob")


def run(args):
    import json

    from ncs.myriad.report import stage_table, summary

    for path in args.blob:
        for name, blob in blobs_of(path):
            if args.json:
                print(json.dumps(dict(file=path, **({"name": name} if name else {}), **blob.to_json())))
                continue
            print("{}{}: {}".format(path, f" [{name}]" if name else "", summary(blob)))
            if args.stages:
                print(stage_table(blob))


def blobs_of(path):
    """[(name, Blob)] of a blob file (its name is "") or of a file of many, from `ncs compile --archive`."""
    import os

    from ncs.myriad.archive import is_archive, read_blobs
    from ncs.myriad.blob import read_blob

    if os.path.isfile(path) and is_archive(path):
        return read_blobs(path)
    return [("", read_blob(path))]
