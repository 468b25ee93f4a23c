"""Pack a list of pictures into a database of Datum records.

convert_imageset [flags] ROOTFOLDER/ LISTFILE DB_NAME: a line of LISTFILE is `path label`; a picture's file is
ROOTFOLDER and path joined as they are, so that the slash matters. The database appears whole or not at all.
Pictures that cannot be read are named with their lines and left out; the exit status is then 1, unless
--allow_broken is given (Caffe leaves them out with status 0). The same command makes the same bytes.
"""

from __future__ import annotations

from caffe.errors import CaffeError
from caffe.tools import gflags


def add_arguments(parser):
    """Caffe's flags and a few of our own."""
    parser.add_argument("root", metavar="ROOTFOLDER/", help="put before every path of the list")
    parser.add_argument("list", metavar="LISTFILE", help="one `path label` a line")
    parser.add_argument("db", metavar="DB_NAME", help="folder of the new database")
    gflags.boolean(parser, "gray", help="one channel instead of three")
    gflags.boolean(parser, "shuffle", help="shuffle the list first")
    parser.add_argument("--backend", default="lmdb", help="lmdb (default) or leveldb")
    parser.add_argument("--resize_width", type=int, default=0, metavar="W", help="0: keep the size")
    parser.add_argument("--resize_height", type=int, default=0, metavar="H", help="0: keep the size")
    gflags.boolean(parser, "check_size", help="refuse pictures of different sizes")
    gflags.boolean(parser, "encoded", help="store picture files instead of pixels")
    parser.add_argument("--encode_type", default="", help="store files of this type (jpg, png)")
    parser.add_argument("--seed", type=int, default=1701, help="of --shuffle (default: 1701)")
    gflags.boolean(parser, "allow_broken", help="exit status 0 although pictures were left out")
    gflags.boolean(parser, "overwrite", help="replace DB_NAME if it is a database")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="threads (default: one a core)")


def run(args):
    """Convert; 1 when pictures were left out."""
    from caffe.core import glog
    from caffe.data import convert_imageset

    if args.encode_type and not args.encoded:
        glog.info("encode_type specified, assuming encoded=true.", "convert_imageset.cpp:90")
    form = convert_imageset.Form(args.gray, _size(args), args.encoded or bool(args.encode_type), args.encode_type)
    outcome = convert_imageset.convert(
        args.root,
        args.list,
        args.db,
        form,
        shuffle=args.shuffle,
        seed=args.seed,
        backend=args.backend,
        check_size=args.check_size,
        overwrite=args.overwrite,
        workers=args.workers,
    )
    if not outcome.skipped:
        return 0
    total = outcome.written + len(outcome.skipped)
    glog.error(
        "%d of %d pictures were left out of %s; they are named above" % (len(outcome.skipped), total, args.db),
        "convert_imageset.cpp:150",
    )
    return 0 if args.allow_broken else 1


def _size(args):
    height, width = args.resize_height, args.resize_width
    if height == 0 and width == 0:
        return None
    if height <= 0 or width <= 0:
        raise CaffeError(
            "--resize_height %d and --resize_width %d: give both, positive (Caffe silently resizes nothing)"
            % (height, width)
        )
    return (height, width)
