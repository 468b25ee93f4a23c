"""Fetch the faces (or take them --from FILE), verify and unpack them.

Without --from the Asian part of UTKFace is fetched, resumed if it broke off, and unpacked only when its
SHA-256 is right. With --from an archive of one's own is unpacked, tar or zip, of which --race picks.
"""

import os
import sys

MADE_BY = "agegender download"


def add_arguments(parser):
    parser.add_argument("--from", dest="archive", metavar="FILE", help="an archive at hand in place of a download")
    parser.add_argument("--sha256", help="what the SHA-256 of --from FILE must be (default: not asked)")
    parser.add_argument("--url", action="append", help="another place of the same archive; may be repeated")
    parser.add_argument("--race", default="asian", help="asian (default), white, black, indian, others, a list, all")
    parser.add_argument("--data", metavar="DIR", default="data", help="where archive and faces go (data)")
    parser.add_argument("--out", metavar="DIR", help="folder of the faces (default: DATA/UTKFace_AsianOnly)")


def run(args):
    from agegender.datasets import utkface
    from caffe.utils import folders

    races = utkface.parse_races(args.race)
    out = args.out or os.path.join(args.data, utkface.folder_name(races))
    folders.refuse_foreign(out, MADE_BY)  # before the download, not after it
    archive = own_archive(args) if args.archive else fetched_archive(args, races)
    found = unpacked(archive, out, races)
    for text in found.skipped:
        print("left out, its name says too little: " + text, file=sys.stderr)
    for text in found.irregular:
        print("taken all the same: " + text, file=sys.stderr)
    print("%d pictures in %s" % (len(found.samples), out), flush=True)
    hint = "" if out == os.path.join("data", "UTKFace_AsianOnly") else f" --faces {out} --race {args.race}"
    print("Next: ./build_dataset.py" + hint, file=sys.stderr)


def own_archive(args):
    """The file of --from, after the check that was asked for."""
    from agegender.errors import AgeGenderError
    from caffe.utils.download import sha256_of

    if not os.path.isfile(args.archive):
        raise AgeGenderError(f"--from {args.archive}: no such file")
    if args.sha256:
        received = sha256_of(args.archive)
        if received != args.sha256.lower():
            raise AgeGenderError(f"{args.archive}: its SHA-256 is {received}, due is {args.sha256}")
    return args.archive


def fetched_archive(args, races):
    """The archive of the table, fetched."""
    from agegender.datasets.sample import RACES
    from agegender.datasets.sources import UTKFACE_ASIAN
    from agegender.errors import AgeGenderError
    from caffe.utils.download import fetch

    missing = [RACES[race] for race in races if race not in UTKFACE_ASIAN.races]
    if missing:
        raise AgeGenderError(
            "the archive that can be fetched holds asian faces only, not {}; give another by --from FILE".format(
                ", ".join(missing)
            )
        )
    return fetch(UTKFACE_ASIAN, args.data, args.url)


def unpacked(archive, out, races):
    """Unpack the faces of these races into the folder `out`, as a whole; the names as a utkface.Folder."""
    from agegender.datasets import utkface
    from agegender.errors import AgeGenderError
    from caffe.utils import atomic_io
    from caffe.utils.safe_extract import unpack

    with atomic_io.atomic_folder(out, MADE_BY) as temporary:
        names = unpack(archive, temporary, lambda name: bool(utkface.read_names([name], races).samples))
        found = utkface.read_names(sorted({name for name in names if utkface.is_image_name(name)}), races)
        if not found.samples:
            raise AgeGenderError(
                "%s: no picture of the wanted race among %d files; names are to be like %s"
                % (archive, len(names), utkface.NAME_RULE)
            )
    return found
