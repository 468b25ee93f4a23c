"""Find photographs that are there more than once, and say how far their labels agree.

Reads a folder of pictures named as UTKFace names them. A line a pair: likeness, both names, what their labels differ in; then how
many pairs differ, by years. Equal files and near-twins (saved anew, resized, mirrored) count alike.
"""

from __future__ import annotations

import os

from caffe.safe_text import cell

YEARS = ((0, 2), (3, 9), (10, 59), (60, 116))  # of the younger label


def add_arguments(parser):
    parser.add_argument("--faces", metavar="DIR", help="folder of pictures (default: data/UTKFace_AsianOnly)")
    parser.add_argument("--race", default="asian", help="asian (default), white, black, indian, others, all, or a list")
    parser.add_argument("--csv", metavar="FILE", help="write the pairs here instead of showing them")
    parser.add_argument("--jobs", type=int, help="threads (all cores)")


def run(args):
    from agegender.datasets import duplicates, near_duplicates, utkface
    from caffe.utils.atomic_io import write_bytes

    races = utkface.parse_races(args.race)
    samples = utkface.read_folder(args.faces or os.path.join("data", utkface.folder_name(races)), races).samples
    duplicates.digests(samples, args.jobs)  # names every file that is no picture
    pairs = near_duplicates.near_duplicate_pairs(samples, args.jobs)
    rows = [_row(*pair) for pair in pairs]
    if args.csv:
        write_bytes(args.csv, _lines([("likeness", "picture", "another", "differs in"), *rows], ","))
    else:
        print(_lines(rows, "\t"), end="")
    print("%d pictures, %d pairs of one photograph" % (len(samples), len(pairs)))
    print("\n".join(table(pairs)))


def _lines(rows, separator):
    return "".join(separator.join(row) + "\n" for row in rows)


def _row(one, other, similarity):
    return (
        f"{similarity:.3f}",
        cell(os.path.basename(one.path)),
        cell(os.path.basename(other.path)),
        " ".join(differences(one, other)),
    )


def differences(one, other):
    """Which of "gender", "class" (of ages) and "age" two Samples' labels disagree in."""
    asked = {
        "gender": one.gender != other.gender,
        "class": one.age_class != other.age_class,
        "age": one.age != other.age,
    }
    return [name for name, differs in asked.items() if differs]


def table(pairs):
    """Lines of a table by the years of the younger label: pairs, and how many differ in what, with Wilson's intervals."""
    lines = ["years\tpairs\tanother gender\tanother age class"]
    for low, high in (*YEARS, (0, YEARS[-1][1])):
        some = [differences(one, other) for one, other, _ in pairs if low <= min(one.age, other.age) <= high]
        lines.append(
            "\t".join(["%d to %d" % (low, high), str(len(some)), *(_share(some, name) for name in ("gender", "class"))])
        )
    return lines


def _share(some, name):
    from agegender.evaluate.metrics import wilson_interval

    count = sum(name in differs for differs in some)
    if not some:
        return "0"
    low, high = wilson_interval(count, len(some))
    return "%d (%.0f %%; 95 %%: %.0f to %.0f)" % (count, 100 * count / len(some), 100 * low, 100 * high)
