"""IMDB-WIKI: metadata filtered, ages computed, faces packed into databases with gender and age (yu4u's create_db).

`create-db` reads DATA/{db}_crop/{db}.mat, or a .csv that is filtered already, and writes OUTPUT_train_lmdb and OUTPUT_val_lmdb.
Nobody is in both: whole people validate. Gender is coded as the set has it, 0 female and 1 male.
"""

from __future__ import annotations

import os
import sys

_SHOWN = 20  # pictures that could not be read
SIZE, SIZE_OF_ORIGINAL = 64, 32  # yu4u's default made pictures that his own weights could not read


def add_arguments(parser):
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create-db", help="filter, split by people, pack")
    add = create.add_argument
    add("--output", "-o", metavar="STEM", help="of the databases (default: DATA/DB)")
    add("--db", choices=("wiki", "imdb"), default="wiki", help="which set (wiki)")
    add("--img_size", type=int, metavar="N", help="pixels a side (%d)" % SIZE)
    add("--min_score", type=float, metavar="S", help="least face score (1.0)")
    add("--data", metavar="DIR", default="data", help="holds DB_crop/ (data)")
    add("--meta", metavar="FILE", help="metadata, .mat or .csv (genders,ages,img_paths) (DATA/DB_crop/DB.mat)")
    add("--validation_split", type=float, default=0.1, metavar="SHARE", help="share of the faces, at least (0.1)")
    add("--seed", type=int, default=1, help="of split and order (1)")
    add("--workers", type=int, default=0, metavar="N", help="threads (default: one a core); no byte depends on it")
    add("--allow_broken", action="store_true", help="exit status 0 although pictures were left out")
    add(
        "--compat",
        action="store_true",
        help="as the original: %d pixels, the last rows validate whoever they show" % SIZE_OF_ORIGINAL,
    )
    _meta(actions.add_parser("stats", help="what the metadata holds, by filter and decade"))


def _meta(parser):
    parser.add_argument("meta", help=".mat or .csv")
    parser.add_argument("--db", choices=("wiki", "imdb"), help="which struct of the .mat, when there are several")
    parser.add_argument("--min_score", type=float, metavar="S", help="least face score (1.0)")


def run(args):
    return {"create-db": _create, "stats": _stats}[args.action](args)


def _stats(args):
    from agegender.datasets import imdb_wiki

    show(imdb_wiki, *read(args.meta, args.db, args.min_score))


def _create(args):
    from agegender.datasets import face_lmdb, imdb_wiki
    from agegender.errors import AgeGenderError

    _check(args)
    root = os.path.join(args.data, args.db + "_crop")
    faces, dropped = read(args.meta or os.path.join(root, args.db + ".mat"), args.db, args.min_score)
    show(imdb_wiki, faces, dropped)
    if args.compat:
        parts = imdb_wiki.split_as_original(faces, args.validation_split)
    else:
        parts = imdb_wiki.split(faces, args.validation_split, args.seed)
    if not all(parts):
        raise AgeGenderError("%d and %d faces for training and validation; take another --validation_split"
                             % tuple(map(len, parts)))  # fmt: skip
    size, output = (
        args.img_size or (SIZE_OF_ORIGINAL if args.compat else SIZE),
        args.output or os.path.join(args.data, args.db),
    )
    left_out = 0
    for name, part in zip(("train", "val"), parts):
        target = f"{output}_{name}_lmdb"
        broken = face_lmdb.write(part, root, target, size, args.seed, args.workers)
        people = len({imdb_wiki.subject(face) for face in part})
        print("%s: %d faces of %d people, %dx%d" % (target, len(part) - len(broken), people, size, size), flush=True)
        for path in broken[:_SHOWN]:
            print("left out, no picture that OpenCV can read: " + os.path.join(root, path), file=sys.stderr)
        if len(broken) > _SHOWN:
            print("... and %d more" % (len(broken) - _SHOWN), file=sys.stderr)
        left_out += len(broken)
    print("Next: a Data layer with the tops data, gender and age", file=sys.stderr)
    return 1 if left_out and not args.allow_broken else 0


def _check(args):
    from agegender.errors import AgeGenderError

    faults = []
    if args.img_size is not None and args.img_size < 1:
        faults.append("--img_size %d: a positive number of pixels is due" % args.img_size)
    if not 0 < args.validation_split < 1:
        faults.append(f"--validation_split {args.validation_split:g}: a share between 0 and 1 is due")
    if args.output and args.output.endswith(".mat"):
        faults.append(f"--output {args.output}: databases are written, not a .mat of all pictures; give their stem")
    if faults:
        raise AgeGenderError("; ".join(faults))


def read(meta, db, least_score):
    """(faces, what each filter dropped or None) of a .mat, or of a .csv, which is filtered already."""
    from agegender.datasets import imdb_wiki
    from agegender.errors import AgeGenderError

    if meta.endswith(".csv"):
        if least_score is not None:
            raise AgeGenderError(f"--min_score {least_score:g}: {meta} holds no scores, it is filtered already")
        faces, dropped = imdb_wiki.read_csv(meta), None
    else:
        faces, dropped = imdb_wiki.keep(imdb_wiki.read_mat(meta, db), 1.0 if least_score is None else least_score)
    if not faces:
        raise AgeGenderError(
            "{}: no face is left{}".format(meta, "" if dropped is None else f"; dropped were {dropped}")
        )
    return faces, dropped


def show(imdb_wiki, faces, dropped):
    """Print what the filters dropped and what is kept."""
    if dropped is not None:
        print("rows: %d" % (len(faces) + sum(dropped.values())))
        for why, count in dropped.items():
            print("dropped for %-12s %7d" % (why + ":", count))
    told = imdb_wiki.statistics(faces)
    print(
        "kept: %d (%d female, %d male), mean age %.2f" % (told["count"], told["female"], told["male"], told["mean age"])
    )
    print("by decade: " + " ".join(map(str, told["decades"])), flush=True)
