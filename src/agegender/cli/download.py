"""Download the faces (or use the archive --from FILE), verify and unpack them.

Without --from the Asian part of UTKFace is downloaded, resumed after an interruption, and unpacked only if its SHA-256
is correct. With --from, a tar or zip archive of your own is unpacked; --race selects from it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agegender.datasets.utkface import Folder

MADE_BY = "agegender download"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="archive", metavar="FILE", help="a local archive instead of a download")
    parser.add_argument("--sha256", help="expected SHA-256 of --from FILE (default: not checked)")
    parser.add_argument("--url", action="append", help="another URL of the same archive; may be repeated")
    parser.add_argument("--race", default="asian", help="asian (default), white, black, indian, others, a list, all")
    parser.add_argument("--data", metavar="DIR", default="data", help="directory for archive and faces (data)")
    parser.add_argument("--out", metavar="DIR", help="directory of the faces (default: DATA/UTKFace_AsianOnly)")


def run(args: argparse.Namespace) -> None:
    from agegender.datasets import utkface
    from caffe.utils import folders

    races = utkface.parse_races(args.race)
    out = args.out or os.path.join(args.data, utkface.folder_name(races))
    folders.refuse_foreign(out, MADE_BY)  # before the download, not after it
    archive = local_archive(args) if args.archive else downloaded_archive(args, races)
    folder = unpack_faces(archive, out, races)
    for text in folder.skipped:
        print(f"left out, incomplete name: {text}", file=sys.stderr)
    for text in folder.irregular:
        print(f"irregular name, kept: {text}", file=sys.stderr)
    print(f"{len(folder.samples)} images in {out}", flush=True)
    hint = "" if out == os.path.join("data", "UTKFace_AsianOnly") else f" --faces {out} --race {args.race}"
    print("Next: ./build_dataset.py" + hint, file=sys.stderr)


def local_archive(args: argparse.Namespace) -> str:
    """Return the path of --from, checked against --sha256."""
    from agegender.errors import AgeGenderError
    from caffe.utils.download import sha256_of

    if not os.path.isfile(args.archive):
        raise AgeGenderError(f"--from {args.archive}: no such file")
    if args.sha256:
        received = sha256_of(args.archive)
        if received != args.sha256.lower():
            raise AgeGenderError(f"{args.archive}: expected the SHA-256 {args.sha256}, received {received}")
    return args.archive


def downloaded_archive(args: argparse.Namespace, races: Sequence[int]) -> str:
    """Download the published archive and return its path."""
    from agegender.datasets.sample import RACES
    from agegender.datasets.sources import UTKFACE_ASIAN
    from agegender.errors import AgeGenderError
    from caffe.utils.download import fetch

    missing = [RACES[race] for race in races if race not in UTKFACE_ASIAN.races]
    if missing:
        raise AgeGenderError(
            f"the archive that can be downloaded holds asian faces only, not {', '.join(missing)}; "
            "use another archive with --from FILE"
        )
    return fetch(UTKFACE_ASIAN, args.data, args.url)


def unpack_faces(archive: str, out: str, races: Sequence[int]) -> Folder:
    """Unpack the faces of these races into the directory `out`, atomically."""
    from agegender.datasets import utkface
    from agegender.errors import AgeGenderError
    from caffe.utils import atomic_io
    from caffe.utils.safe_extract import unpack

    with atomic_io.atomic_folder(out, MADE_BY) as temporary:
        names = unpack(archive, temporary, lambda name: bool(utkface.read_names([name], races).samples))
        folder = utkface.read_names(sorted({name for name in names if utkface.is_image_name(name)}), races)
        if not folder.samples:
            raise AgeGenderError(
                f"{archive}: no image of this race among {len(names)} files; expected names such as {utkface.NAME_RULE}"
            )
    return folder
