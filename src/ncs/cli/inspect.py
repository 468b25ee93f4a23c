"""Tell everything that is in a Myriad blob: inputs, outputs, stages, cores, memory."""

from __future__ import annotations


def add_arguments(parser):
    parser.add_argument("blob", nargs="+", help="files from `ncs compile`, compile_tool or blobconverter")
    parser.add_argument("--stages", action="store_true", help="list every stage with its arrays")
    parser.add_argument("--json", action="store_true", help="print all as JSON, one line a blob")


def run(args):
    import json

    from ncs.myriad.blob import read_blob
    from ncs.myriad.report import stage_table, summary

    for path in args.blob:
        blob = read_blob(path)
        if args.json:
            print(json.dumps(dict(file=path, **blob.to_json())))
            continue
        print("%s: %s" % (path, summary(blob)))
        if args.stages:
            print(stage_table(blob))
