"""IMDB-WIKI: filter the metadata, compute ages and pack the faces into LMDBs with gender and age (yu4u's create_db).

`create-db` reads DATA/{db}_crop/{db}.mat, or a .csv that is filtered already, and writes OUTPUT_train_lmdb and
OUTPUT_val_lmdb. No person is in both: whole people go to validation. Gender is coded as in the data set, 0 female and 1
male.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agegender.datasets.imdb_wiki import Face

_MAX_REPORTED = 20  # images that cannot be read
SIZE, SIZE_OF_ORIGINAL = 64, 32  # yu4u's default size does not fit yu4u's own weights


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create-db", help="filter, split by people, pack")
    add = create.add_argument
    add("--output", "-o", metavar="STEM", help="stem of the LMDBs (default: DATA/DB)")
    add("--db", choices=("wiki", "imdb"), default="wiki", help="which data set (wiki)")
    add("--img_size", type=int, metavar="N", help=f"pixels per side ({SIZE})")
    add("--min_score", type=float, metavar="S", help="minimum face score (1.0)")
    add("--data", metavar="DIR", default="data", help="parent of DB_crop/ (data)")
    add("--meta", metavar="FILE", help="metadata, .mat or .csv (genders,ages,img_paths) (DATA/DB_crop/DB.mat)")
    add(
        "--validation_split",
        type=float,
        default=0.1,
        metavar="FRACTION",
        help="minimum fraction of the faces for validation (0.1)",
    )
    add("--seed", type=int, default=1, help="seed of split and order (1)")
    add(
        "--workers",
        type=int,
        default=0,
        metavar="N",
        help="threads (default: one per core); the output does not depend on it",
    )
    add("--allow_broken", action="store_true", help="exit status 0 even if images were left out")
    add(
        "--compat",
        action="store_true",
        help=f"as the original: {SIZE_OF_ORIGINAL} pixels, the last rows validate regardless of the person",
    )
    _add_meta(actions.add_parser("stats", help="print statistics of the metadata, by filter and decade"))


def _add_meta(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("meta", help=".mat or .csv")
    parser.add_argument("--db", choices=("wiki", "imdb"), help="which struct of the .mat, if it has several")
    parser.add_argument("--min_score", type=float, metavar="S", help="minimum face score (1.0)")


def run(args: argparse.Namespace) -> int | None:
    return {"create-db": _create, "stats": _stats}[args.action](args)


def _stats(args: argparse.Namespace) -> None:
    show(*read(args.meta, args.db, args.min_score))


def _create(args: argparse.Namespace) -> int:
    _check(args)
    root = os.path.join(args.data, args.db + "_crop")
    faces, dropped = read(args.meta or os.path.join(root, args.db + ".mat"), args.db, args.min_score)
    show(faces, dropped)
    size = args.img_size or (SIZE_OF_ORIGINAL if args.compat else SIZE)
    output = args.output or os.path.join(args.data, args.db)
    left_out = 0
    for name, part in zip(("train", "val"), _split(args, faces)):
        left_out += _write(args, part, root, f"{output}_{name}_lmdb", size)
    print("Next: a Data layer with the tops data, gender and age", file=sys.stderr)
    return 1 if left_out and not args.allow_broken else 0


def _split(args: argparse.Namespace, faces: list[Face]) -> tuple[list[Face], list[Face]]:
    from agegender.datasets import imdb_wiki
    from agegender.errors import AgeGenderError

    if args.compat:
        train, val = imdb_wiki.split_as_original(faces, args.validation_split)
    else:
        train, val = imdb_wiki.split(faces, args.validation_split, args.seed)
    if not train or not val:
        raise AgeGenderError(
            f"{len(train)} and {len(val)} faces for training and validation; use another --validation_split"
        )
    return train, val


def _write(args: argparse.Namespace, faces: list[Face], root: str, target: str, size: int) -> int:
    """Write one LMDB and return the number of images that cannot be read."""
    from agegender.datasets import face_lmdb, imdb_wiki

    broken = face_lmdb.write(faces, root, target, size, args.seed, args.workers)
    people = len({imdb_wiki.subject(face) for face in faces})
    print(f"{target}: {len(faces) - len(broken)} faces of {people} people, {size}x{size}", flush=True)
    for path in broken[:_MAX_REPORTED]:
        print(f"left out, OpenCV cannot read it: {os.path.join(root, path)}", file=sys.stderr)
    if len(broken) > _MAX_REPORTED:
        print(f"... and {len(broken) - _MAX_REPORTED} more", file=sys.stderr)
    return len(broken)


def _check(args: argparse.Namespace) -> None:
    from agegender.errors import AgeGenderError

    errors = []
    if args.img_size is not None and args.img_size < 1:
        errors.append(f"--img_size: expected a positive number of pixels, received {args.img_size}")
    if not 0 < args.validation_split < 1:
        errors.append(f"--validation_split: expected a fraction between 0 and 1, received {args.validation_split:g}")
    if args.output and args.output.endswith(".mat"):
        errors.append(f"--output {args.output}: LMDBs are written, not a .mat of all images; expected their stem")
    if errors:
        raise AgeGenderError("; ".join(errors))


def read(meta: str, db: str | None, min_score: float | None) -> tuple[list[Face], dict[str, int] | None]:
    """Read a .mat and filter it, or a .csv, which is filtered already.

    Returns
    -------
    faces : list of Face
    dropped : dict or None
        How many rows each filter dropped; None for a .csv.
    """
    from agegender.datasets import imdb_wiki
    from agegender.errors import AgeGenderError

    if meta.endswith(".csv"):
        if min_score is not None:
            raise AgeGenderError(f"--min_score {min_score:g}: {meta} holds no scores, it is filtered already")
        faces, dropped = imdb_wiki.read_csv(meta), None
    else:
        faces, dropped = imdb_wiki.keep(imdb_wiki.read_mat(meta, db), 1.0 if min_score is None else min_score)
    if not faces:
        details = "" if dropped is None else f"; dropped: {dropped}"
        raise AgeGenderError(f"{meta}: no face is left{details}")
    return faces, dropped


def show(faces: list[Face], dropped: dict[str, int] | None) -> None:
    """Print how many rows the filters dropped and statistics of the rest."""
    from agegender.datasets import imdb_wiki

    if dropped is not None:
        print(f"rows: {len(faces) + sum(dropped.values())}")
        for reason, count in dropped.items():
            print(f"dropped for {reason + ':':<12} {count:7d}")
    statistics = imdb_wiki.statistics(faces)
    print(
        f"kept: {statistics['count']} ({statistics['female']} female, {statistics['male']} male), "
        f"mean age {statistics['mean age']:.2f}"
    )
    print(f"by decade: {' '.join(map(str, statistics['decades']))}", flush=True)
