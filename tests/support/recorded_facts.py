"""Records of what the data sets' own files say (tests/agegender/facts), turned into files and values of their form."""

import json
from pathlib import Path

import numpy as np

from agegender.datasets import adience
from agegender.datasets.adience_lists import PARTS

FOLDER = Path(__file__).parent / "agegender" / "facts"


def adience_folds(folder):
    """Write the five fold files into `folder`; users and photographs have numbers for names, boxes are all one."""
    told = np.load(FOLDER / "adience.npz")
    ages, genders = told["ages"].tolist(), told["genders"].tolist()
    lines = {fold: ["\t".join(adience.COLUMNS)] for fold in range(adience.FOLDS)}
    columns = (told[name].tolist() for name in ("fold", "user", "image", "face", "age", "gender"))
    for fold, user, image, face, age, gender in zip(*columns):
        cells = ("%d@N00" % user, "%d.jpg" % image, str(face), ages[age], genders[gender], "1\t2\t3\t4\t0\t0\t50")
        lines[fold].append("\t".join(cells))
    for fold, each in lines.items():
        (folder / ("fold_%d_data.txt" % fold)).write_text("\n".join(each) + "\n")
    return folder


def published_lists(rows, folder):
    """Write the published lists of test fold 0, in the order of `rows`, as files with their labels."""
    told = np.load(FOLDER / "adience.npz")
    for task in ("age", "gender"):
        parts, labels = told[task + "_parts"], told[task + "_labels"]
        for bit, part in enumerate(PARTS):
            chosen = np.flatnonzero(parts >> bit & 1)
            text = "".join("%s %d\n" % (rows[index].path(), labels[index]) for index in chosen)
            (folder / (f"{task}_{part}.txt")).write_text(text)
    return folder


def utkface_names():
    """The 3,434 file names, sorted."""
    told = np.load(FOLDER / "utkface_race2.npz")
    columns = (told[name].tolist() for name in ("age", "gender", "stamp"))
    return sorted("%d_%d_2_%d.jpg.chip.jpg" % row for row in zip(*columns))


def wiki_csv(path):
    """Write a CSV of yu4u's form with as many women and men of each age."""
    told = json.loads((FOLDER / "wiki.json").read_text())
    lines = ["genders,ages,img_paths"]
    for gender, name in enumerate(("female", "male")):
        for age, count in enumerate(told[name]):
            lines += ["%d,%d,00/%d_%d.jpg" % (gender, age, len(lines) + i, i) for i in range(count)]
    path.write_text("\n".join(lines) + "\n")
    return path
