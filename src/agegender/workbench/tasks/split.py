"""Split a folder of class folders, or a list of paths and labels, into train.txt and test.txt; write labels.txt."""

from __future__ import annotations

import argparse
import os
import random

from agegender.errors import AgeGenderError
from caffe.utils.atomic_io import write_bytes
from caffe.utils.cli.safe_text import printable

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def main(argv: list[str]) -> None:
    """Write the lists; the split is stratified by class and depends on the seed only."""
    parser = argparse.ArgumentParser()
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--folders")
    source.add_argument("--list")
    parser.add_argument("--out", required=True)
    parser.add_argument("--train", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=230)
    args = parser.parse_args(argv)
    names, classes = of_folders(args.folders) if args.folders else of_list(args.list)
    train, test = stratified(classes, args.train, args.seed)
    for part, lines in (("train", train), ("test", test)):
        write_bytes(os.path.join(args.out, part + ".txt"), "".join(f"{path} {label}\n" for path, label in lines))
    write_bytes(os.path.join(args.out, "labels.txt"), "".join(f"{name}\n" for name in names))
    print(f"{len(names)} classes: {len(train)} images for training, {len(test)} held out")


def of_folders(parent: str) -> tuple[list[str], dict[int, list[str]]]:
    """Return class names and {label: paths} of one folder per class; images are found at any depth."""
    names = sorted(entry.name for entry in os.scandir(parent) if entry.is_dir() and not entry.name.startswith("."))
    classes: dict[int, list[str]] = {}
    kept: list[str] = []
    for name in names:
        paths = []
        for folder, _, files in os.walk(os.path.join(parent, name)):
            paths += [os.path.join(folder, file) for file in files if file.lower().endswith(SUFFIXES)]
        if paths:
            classes[len(kept)] = sorted(paths)
            kept.append(printable(name).replace("\n", " "))
    if len(kept) < 2:
        raise AgeGenderError(f"{parent}: expected at least two folders with images, received {len(kept)}")
    return kept, classes


def of_list(path: str) -> tuple[list[str], dict[int, list[str]]]:
    """Return class numbers as names and {label: paths} of a list; paths are relative to the root or to the list."""
    classes: dict[int, list[str]] = {}
    folder = os.path.dirname(path)
    with open(path, encoding="utf-8", errors="surrogateescape") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            name, _, label = line.rstrip("\r\n").rpartition(" ")
            if not name or not label.isdigit() or len(label) > 6:
                raise AgeGenderError(f"{path}:{number}: expected a path and a label from 0, received {line[:80]!r}")
            found = name if os.path.isfile(name) else os.path.join(folder, name)
            _check_below(found, f"{path}:{number}")
            classes.setdefault(int(label), []).append(os.path.normpath(found))
    if len(classes) < 2:
        raise AgeGenderError(f"{path}: expected at least two classes, received {len(classes)}")
    return [str(label) for label in range(max(classes) + 1)], classes


def _check_below(path: str, where: str) -> None:
    root = os.path.realpath(".")
    if not os.path.realpath(path).startswith(root + os.sep):
        raise AgeGenderError(f"{where}: {path} is not below the root of the workbench")


def stratified(classes: dict[int, list[str]], fraction: float, seed: int) -> tuple[list, list]:
    """Return (train, test) as lists of (path, label): `fraction` of each class, at least one image in each part."""
    train, test = [], []
    for label, paths in sorted(classes.items()):
        shuffled = list(paths)
        random.Random(f"{seed} {label}").shuffle(shuffled)
        count = min(max(1, round(fraction * len(shuffled))), max(1, len(shuffled) - 1))
        train += [(path, label) for path in shuffled[:count]]
        test += [(path, label) for path in shuffled[count:]]
    return sorted(train), sorted(test)
