"""Write files in the formats of the data sets from their recorded facts (tests/agegender/facts)."""

import json
from pathlib import Path

import numpy as np

from agegender.datasets import adience
from agegender.datasets.adience_lists import PARTS

FOLDER = Path(__file__).resolve().parents[1] / "agegender" / "facts"


def adience_folds(folder):
    """Write the five fold files into `folder`; users and photographs are named by number, all boxes are equal."""
    facts = np.load(FOLDER / "adience.npz")
    ages, genders = facts["ages"].tolist(), facts["genders"].tolist()
    lines = {fold: ["\t".join(adience.COLUMNS)] for fold in range(adience.FOLDS)}
    columns = (facts[name].tolist() for name in ("fold", "user", "image", "face", "age", "gender"))
    for fold, user, image, face, age, gender in zip(*columns):
        cells = (f"{user}@N00", f"{image}.jpg", str(face), ages[age], genders[gender], "1\t2\t3\t4\t0\t0\t50")
        lines[fold].append("\t".join(cells))
    for fold, fold_lines in lines.items():
        (folder / f"fold_{fold}_data.txt").write_text("\n".join(fold_lines) + "\n")
    return folder


def published_lists(rows, folder):
    """Write the published lists of test fold 0 with their labels, in the order of `rows`."""
    facts = np.load(FOLDER / "adience.npz")
    for task in ("age", "gender"):
        parts, labels = facts[task + "_parts"], facts[task + "_labels"]
        for bit, part in enumerate(PARTS):
            indices = np.flatnonzero(parts >> bit & 1)
            text = "".join(f"{rows[index].path()} {labels[index]}\n" for index in indices)
            (folder / f"{task}_{part}.txt").write_text(text)
    return folder


def utkface_names():
    """The 3,434 file names of race 2, sorted."""
    facts = np.load(FOLDER / "utkface_race2.npz")
    columns = (facts[name].tolist() for name in ("age", "gender", "stamp"))
    return sorted(f"{age}_{gender}_2_{stamp}.jpg.chip.jpg" for age, gender, stamp in zip(*columns))


def wiki_csv(path):
    """Write a CSV file in yu4u's format with the recorded number of women and men of each age."""
    facts = json.loads((FOLDER / "wiki.json").read_text())
    lines = ["genders,ages,img_paths"]
    for gender, name in enumerate(("female", "male")):
        for age, count in enumerate(facts[name]):
            lines += [f"{gender:d},{age},00/{len(lines) + i}_{i}.jpg" for i in range(count)]
    path.write_text("\n".join(lines) + "\n")
    return path
