"""What is below the root: databases, runs, evaluations, compiled models, folders of images and lists.

Every item has an id made of its name and a hash of its relative path. A client only ever sends ids, which are looked up
here; no path comes from a client.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import threading
import time
from collections.abc import Iterator

MAX_DEPTH = 7
MAX_FOLDERS = 20_000
SECONDS = 1.0  # a scan is kept
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
SKIPPED = {"__pycache__", "node_modules", "site-packages", "jobs"}
_SNAPSHOT = re.compile(r"(.+)_iter_(\d+)\.(caffemodel|solverstate)(?:\.h5)?")
_PEEK = 40  # entries of a folder that decide whether it holds images


@dataclasses.dataclass(frozen=True)
class Item:
    """Something below the root.

    Attributes
    ----------
    kind : str
        "database", "run", "evaluation", "model", "weights", "images" or "lists".
    path : str
        Relative to the root, with slashes. Of a run it is the snapshot prefix.
    """

    kind: str
    path: str

    @property
    def id(self) -> str:
        """The id in addresses."""
        parts = self.path.split("/")[-2:] if self.kind in ("run", "evaluation") else [os.path.basename(self.path)]
        name = re.sub(r"[^A-Za-z0-9]+", "-", "-".join(parts)).strip("-")[:40].rstrip("-") or "item"
        return f"{name}-{hashlib.sha256(f'{self.kind}:{self.path}'.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"

    @property
    def name(self) -> str:
        """The path as text."""
        return self.path.encode("utf-8", "backslashreplace").decode()

    def facts(self) -> dict[str, str]:
        """Return the item as JSON values."""
        return {"id": self.id, "kind": self.kind, "name": self.name}


class Scan:
    """The items below a root, read again when they are older than SECONDS."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._lock = threading.Lock()
        self._items: dict[str, Item] = {}
        self._read_at = -SECONDS

    def items(self, kind: str | None = None) -> list[Item]:
        """Return the items of a kind, or all, by path."""
        with self._lock:
            if time.monotonic() - self._read_at > SECONDS:
                self._items = {item.id: item for item in sorted(find(self.root), key=lambda item: item.path)}
                self._read_at = time.monotonic()
            return [item for item in self._items.values() if kind in (None, item.kind)]

    def get(self, identifier: str, *kinds: str) -> Item | None:
        """Return the item with an id, or None."""
        for item in self.items():
            if item.id == identifier and (not kinds or item.kind in kinds):
                return item
        return None

    def forget(self) -> None:
        """Read the folders again at the next call."""
        self._read_at = -SECONDS

    def path(self, item: Item) -> str:
        """Return the absolute path of an item."""
        return os.path.join(self.root, item.path)


def find(root: str) -> Iterator[Item]:
    """Yield the items below `root`; links are not followed."""
    left = [("", 0)]
    for _ in range(MAX_FOLDERS):
        if not left:
            return
        relative, depth = left.pop()
        files, folders = _entries(os.path.join(root, relative))
        yield from _items(relative, files, folders)
        if depth < MAX_DEPTH and "data.mdb" not in files:
            left += [(os.path.join(relative, name), depth + 1) for name in sorted(folders)]


def _entries(path: str) -> tuple[list[str], list[str]]:
    files, folders = [], []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_symlink() or entry.name.startswith("."):
                    continue
                if not entry.is_dir():
                    files.append(entry.name)
                elif entry.name not in SKIPPED:
                    folders.append(entry.name)
    except OSError:
        pass  # removed since, or not readable
    return files, folders


def _items(folder: str, files: list[str], folders: list[str]) -> Iterator[Item]:
    names = set(files)
    if "data.mdb" in names:
        yield Item("database", folder)
    if "report.json" in names:
        yield Item("evaluation", folder)
    if "manifest.json" in names and any(name.endswith("_train.txt") for name in names):
        yield Item("lists", folder)
    prefixes = set()
    for name in names:
        if match := _SNAPSHOT.fullmatch(name):
            prefixes.add(match.group(1))
        elif name.endswith((".caffemodel", ".caffemodel.h5")):
            yield Item("weights", os.path.join(folder, name))
        elif name.endswith(".json") and name[:-5] + ".xml" in names:
            yield Item("model", os.path.join(folder, name[:-5]))
        elif name.endswith(".log") and _is_training_log(folder, name, names):
            prefixes.add(name[:-4])
    if "solver.prototxt" in names and not prefixes and "snapshots" not in folders:  # queued, nothing written yet
        prefixes.add("train")
    pictures = any(name.lower().endswith(IMAGE_SUFFIXES) for name in files[:_PEEK])
    if pictures and not prefixes and "report.json" not in names:
        yield Item("images", folder)
    for prefix in prefixes:
        yield Item("run", os.path.join(folder, prefix))


def _is_training_log(folder: str, name: str, names: set[str]) -> bool:
    stem = name[:-4]
    return stem.endswith("train") or stem + "_curves.png" in names or "solver.prototxt" in names
