"""Class names of databases and runs: labels.txt next to them, or the classes of the application's own data sets."""

from __future__ import annotations

import os
from typing import Any

from agegender.inference.labels import AGE_TRINGN
from agegender.workbench.server.bench import Bench
from agegender.workbench.server.scan import Item
from caffe.utils import atomic_io

FILES = ("labels.txt", "../labels.txt")
MAX_NAMES = 10_000


def of_folder(bench: Bench, folder: str) -> list[str]:
    """Return the names in labels.txt of a folder or its parent (relative to the root), [] without one."""
    for name in FILES:
        path = os.path.normpath(os.path.join(bench.settings.root, folder, name))
        if not os.path.realpath(path).startswith(bench.settings.root + os.sep):
            continue
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                return [line.strip()[:200] for line in stream.read(1 << 20).splitlines() if line.strip()][:MAX_NAMES]
        except OSError:
            continue
    return []


def of_database(bench: Bench, item: Item) -> list[str]:
    """Return the class names of a database, [] if unknown."""
    names = of_folder(bench, os.path.dirname(item.path))
    if names:
        return names
    task = os.path.basename(item.path)
    if task in ("age_train_lmdb", "age_test_lmdb"):
        return list(AGE_TRINGN.names)
    if task in ("gender_train_lmdb", "gender_test_lmdb"):
        return list(gender_names())
    return []


def option(bench: Bench, names: list[str], key: str) -> list[str]:
    """Return the arguments that give a command the class names, from a file of the cache; [] without names."""
    if not names:
        return []
    path = bench.cache("labels", f"{key}.txt")
    atomic_io.write_bytes(path, "".join(f"{name}\n" for name in names))
    return ["--labels", os.path.relpath(path, bench.settings.root)]


def gender_names() -> tuple[str, ...]:
    """Return the genders in the order of GenderNet's classes."""
    from agegender import zoo

    return tuple(zoo.script_net("GenderNet").labels.names)


def name_of(label: Any, names: list[str]) -> str:
    """Return the name of a class, or its number as text."""
    return names[label] if isinstance(label, int) and 0 <= label < len(names) else str(label)
