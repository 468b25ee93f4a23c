"""Find photographs that occur more than once and compare their labels.

Reads a directory of images named as UTKFace names them. Prints one line per pair: similarity, both names and the labels
that differ; then how many pairs differ, by age. Equal files and near-duplicates (re-encoded, resized, mirrored) both
count.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from caffe.utils.cli.safe_text import cell

if TYPE_CHECKING:
    from agegender.datasets.sample import Sample

AGES = ((0, 2), (3, 9), (10, 59), (60, 116))  # of the younger label


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--faces", metavar="DIR", help="directory of images (default: data/UTKFace_AsianOnly)")
    parser.add_argument("--race", default="asian", help="asian (default), white, black, indian, others, all, or a list")
    parser.add_argument("--csv", metavar="FILE", help="write the pairs to FILE instead of printing them")
    parser.add_argument("--jobs", type=int, help="threads (all cores)")


def run(args: argparse.Namespace) -> None:
    from agegender.datasets import duplicates, near_duplicates, utkface
    from caffe.utils.atomic_io import write_bytes

    races = utkface.parse_races(args.race)
    samples = utkface.read_folder(args.faces or os.path.join("data", utkface.folder_name(races)), races).samples
    duplicates.digests(samples, args.jobs)  # reports every file that is not an image
    pairs = near_duplicates.near_duplicate_pairs(samples, args.jobs)
    rows = [_row(*pair) for pair in pairs]
    if args.csv:
        write_bytes(args.csv, _lines([("similarity", "image", "other image", "differs in"), *rows], ","))
    else:
        print(_lines(rows, "\t"), end="")
    print(f"{len(samples)} images, {len(pairs)} pairs of one photograph")
    print("\n".join(table(pairs)))


def _lines(rows: Iterable[Sequence[str]], separator: str) -> str:
    return "".join(separator.join(row) + "\n" for row in rows)


def _row(sample: Sample, other: Sample, similarity: float) -> tuple[str, str, str, str]:
    names = (cell(os.path.basename(item.path)) for item in (sample, other))
    return (f"{similarity:.3f}", *names, " ".join(differences(sample, other)))


def differences(sample: Sample, other: Sample) -> list[str]:
    """Return which of "gender", "class" (of ages) and "age" differ between two samples."""
    differs = {
        "gender": sample.gender != other.gender,
        "class": sample.age_class != other.age_class,
        "age": sample.age != other.age,
    }
    return [name for name, value in differs.items() if value]


def table(pairs: Sequence[tuple[Sample, Sample, float]]) -> list[str]:
    """Lines of a table by the younger age: number of pairs, and how many differ, with Wilson's intervals."""
    lines = ["years\tpairs\tanother gender\tanother age class"]
    for low, high in (*AGES, (0, AGES[-1][1])):
        group = [differences(one, other) for one, other, _ in pairs if low <= _younger_age(one, other) <= high]
        lines.append(f"{low} to {high}\t{len(group)}\t{_fraction(group, 'gender')}\t{_fraction(group, 'class')}")
    return lines


def _younger_age(sample: Sample, other: Sample) -> int:
    return min(age for age in (sample.age, other.age) if age is not None)


def _fraction(group: list[list[str]], name: str) -> str:
    from agegender.evaluate.metrics import wilson_interval

    if not group:
        return "0"
    count = sum(name in differs for differs in group)
    low, high = wilson_interval(count, len(group))
    return f"{count} ({100 * count / len(group):.0f} %; 95 %: {100 * low:.0f} to {100 * high:.0f})"
