"""Split faces into training and test lists and balance the training part with mirrored and noisy copies.

Reads a directory of images named as UTKFace names them; writes data/DEF/{age,gender}_{train,test}.txt with
manifest.json, and the copies in data/overSampling. Prints the number of images per class, before and after.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agegender.datasets.build import DatasetSummary


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--faces", metavar="DIR", help="directory of images (default: data/UTKFace_AsianOnly)")
    parser.add_argument("--race", default="asian", help="asian (default), white, black, indian, others, all")
    parser.add_argument("--data", metavar="DIR", default="data", help="parent of DEF and overSampling (data)")
    parser.add_argument("--train", type=float, default=0.8, metavar="FRACTION", help="fraction to train on (0.8)")
    parser.add_argument("--seed", type=int, default=230, help="seed of the split and the noise (230)")
    parser.add_argument("--jobs", type=int, help="threads (all cores); the output does not depend on it")
    parser.add_argument(
        "--exclude-near-duplicates",
        action="store_true",
        help="leave out test images of which the training part has a near-duplicate",
    )
    parser.add_argument(
        "--no-near-duplicates",
        action="store_true",
        help="do not look for near-duplicates: for more than about 10^5 images, as the time grows with their square",
    )
    parser.add_argument(
        "--compat",
        action="store_true",
        help="the original's algorithm on sorted names: repeated images stay in, the split is not "
        "stratified, age is balanced to the nearest pair and gender is not",
    )


def run(args: argparse.Namespace) -> None:
    from agegender.datasets import build, utkface
    from agegender.datasets.lists import count_block
    from agegender.errors import AgeGenderError

    if not 0 < args.train < 1:
        raise AgeGenderError(f"--train: expected a fraction between 0 and 1, received {args.train:g}")
    races = utkface.parse_races(args.race)
    faces = args.faces or os.path.join(args.data, utkface.folder_name(races))
    settings = build.Settings(
        faces,
        races,
        args.train,
        args.seed,
        args.compat,
        args.exclude_near_duplicates,
        near_duplicates=not args.no_near_duplicates,
    )
    summary = build.build(settings, args.data, args.jobs)
    for line in remarks(summary, args.exclude_near_duplicates):
        print(line, file=sys.stderr)
    if args.no_near_duplicates:
        print("near-duplicates were not looked for", file=sys.stderr)
    print(count_block(summary.before, summary.after), end="", flush=True)
    print("Next: ./create_lmdb.sh", file=sys.stderr)


def remarks(summary: DatasetSummary, exclude_near_duplicates: bool) -> list[str]:
    """Lines of text about images that were left out or are irregular."""
    folder, duplicates = summary.folder, summary.duplicates
    lines = [f"{len(folder.samples)} images"]
    lines += [f"left out, incomplete name: {text}" for text in folder.skipped]
    lines += [f"irregular name, kept: {text}" for text in folder.irregular]
    if duplicates is not None and duplicates.groups:
        lines.append(
            f"{len(duplicates.groups)} groups of byte-identical images: {duplicates.class_groups} contradict "
            f"themselves in age class or gender and are dropped, {duplicates.age_groups} in age; one of each other "
            f"group is kept; {len(duplicates.kept)} images remain"
        )
    if summary.near_duplicates:
        if exclude_near_duplicates:
            consequence = f"left out, {len(summary.lists['age_test'])} remain"
        else:
            consequence = "--exclude-near-duplicates leaves them out"
        lines.append(
            f"{len(summary.near_duplicates)} test images are near-duplicates of training images "
            f"(manifest.json lists them under near_duplicates): {consequence}"
        )
    return lines
