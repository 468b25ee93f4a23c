"""Convert images with boxes to a database of AnnotatedDatum records.

convert_annoset [flags] ROOTFOLDER/ LISTFILE DB_NAME: each line of LISTFILE is `image annotation`, both with the prefix
ROOTFOLDER. The annotations are VOC's XML, COCO's JSON of one image, or text (--label_type). If LISTFILE ends in .json,
it is COCO's instances file with all images. Images that cannot be read are logged and skipped; the exit status is then
1, unless --allow_broken is given.
"""

from __future__ import annotations

import argparse
import dataclasses

from caffe.errors import CaffeError
from caffe.tools.flags import gflags, record_flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of SSD's Caffe."""
    parser.add_argument("root", metavar="ROOTFOLDER/", help="prefix of every path in the list")
    parser.add_argument("list", metavar="LISTFILE", help="one `image annotation` per line, or a COCO file (.json)")
    parser.add_argument("db", metavar="DB_NAME", help="folder of the new database")
    parser.add_argument("--anno_type", default="detection", help="detection (default)")
    parser.add_argument("--label_type", default="xml", help="xml (default), json or txt")
    parser.add_argument("--label_map_file", default="", metavar="FILE", help="prototxt of a LabelMap")
    gflags.boolean(parser, "check_label", help="names and labels in the label map must be unique")
    parser.add_argument(
        "--min_dim", type=int, default=0, metavar="N", help="enlarge images with a shorter side below N"
    )
    parser.add_argument("--max_dim", type=int, default=0, metavar="N", help="reduce images with a longer side above N")
    record_flags.add(parser)


def run(args: argparse.Namespace) -> int:
    """Convert the list; return 1 if images were skipped."""
    from caffe.data.boxes import annotations
    from caffe.data.convert import annoset

    if args.anno_type != "detection":
        raise CaffeError(f"--anno_type must be detection, received '{args.anno_type}'; use convert_imageset for labels")
    record_format = record_flags.record_format(args)
    if args.min_dim or args.max_dim:  # as in SSD, these replace --resize_height and --resize_width
        record_format = dataclasses.replace(record_format, size=None, min_dim=args.min_dim, max_dim=args.max_dim)
    labels = annotations.label_map(args.label_map_file, args.check_label) if args.label_map_file else {}
    summary = annoset.convert(
        args.root,
        args.list,
        args.db,
        record_format,
        label_type=args.label_type,
        labels=labels,
        shuffle=args.shuffle,
        seed=args.seed,
        backend=args.backend,
        check_size=args.check_size,
        overwrite=args.overwrite,
    )
    return 0 if args.allow_broken or not summary.skipped else 1
