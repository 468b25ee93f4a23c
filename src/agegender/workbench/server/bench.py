"""What all views share: settings, scan of the root, queue of jobs, followers of logs."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from typing import Any

from starlette.requests import Request

from agegender.errors import AgeGenderError
from agegender.workbench.server.jobs import Queue
from agegender.workbench.server.scan import Item, Scan
from agegender.workbench.server.settings import Settings
from agegender.workbench.server.train_log import Followers

UPLOAD_SECONDS = 86_400.0  # uploads older than this belong to no request


class NotFound(AgeGenderError):
    """No such item, job or record."""


class Bench:
    """The state of a server; all of it is derived from the folders below the root."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.scan = Scan(settings.root)
        self.queue = Queue(settings)
        self.followers = Followers()
        self._temporary: tempfile.TemporaryDirectory | None = None

    def item(self, request: Request, *kinds: str, name: str = "id") -> Item:
        """Return the item that a path parameter names; raise NotFound."""
        return self.find(request.path_params[name], *kinds)

    def find(self, identifier: str, *kinds: str) -> Item:
        """Return the item with an id; raise NotFound."""
        item = self.scan.get(identifier, *kinds)
        if item is None:
            what = " or ".join(kinds) or "item"
            raise NotFound(f"no {what} has the id {identifier[:80]}; it may have been moved or removed")
        return item

    def path(self, item: Item) -> str:
        """Return the absolute path of an item."""
        return self.scan.path(item)

    def cache(self, *names: str) -> str:
        """Return a path in the cache, whose folder exists; a read-only workbench keeps its cache elsewhere."""
        if self.settings.read_only:
            self._temporary = self._temporary or tempfile.TemporaryDirectory(prefix="workbench-")
            root = self._temporary.name
        else:
            root = self.settings.private
        path = os.path.join(root, *names)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def scratch(self) -> str:
        """Return a new empty folder for uploads; the caller removes it, and the next call what a killed one left."""
        folder = os.path.dirname(self.cache("uploads", "x"))
        with os.scandir(folder) as entries:
            for entry in entries:
                if time.time() - entry.stat(follow_symlinks=False).st_mtime > UPLOAD_SECONDS:
                    shutil.rmtree(entry.path, ignore_errors=True)
        return tempfile.mkdtemp(prefix="upload-", dir=folder)

    def close(self) -> None:
        """Remove the temporary cache."""
        if self._temporary is not None:
            self._temporary.cleanup()


def bench_of(request: Request) -> Bench:
    """Return the Bench of the server."""
    return request.app.state.bench


def natural(text: str) -> list[Any]:
    """Return a sort key that orders numbers in names by value."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]


def whole(values: Any, name: str, default: int, low: int, high: int) -> int:
    """Return a field of a form or query as an integer in a range; raise AgeGenderError."""
    text = str(values.get(name) or "").strip()
    if not text:
        return default
    if not re.fullmatch(r"-?[0-9]{1,12}", text) or not low <= int(text) <= high:
        raise AgeGenderError(f"{name}: expected a whole number from {low} to {high}, received {text[:40]!r}")
    return int(text)


def real(values: Any, name: str, default: float | None, low: float, high: float) -> float | None:
    """Return a field as a number in a range; raise AgeGenderError."""
    text = str(values.get(name) or "").strip()
    if not text:
        return default
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        raise AgeGenderError(f"{name}: expected a number from {low:g} to {high:g}, received {text[:40]!r}")
    return number


def choice(values: Any, name: str, choices: Any) -> str:
    """Return a field that is one of `choices`, the first if it is missing; raise AgeGenderError."""
    options = list(choices)
    text = str(values.get(name) or options[0])
    if text not in options:
        raise AgeGenderError(f"{name}: expected one of {', '.join(options)}, received {text[:40]!r}")
    return text


def folder_name(values: Any, name: str, default: str = "") -> str:
    """Return a field that names a new folder: letters, digits, dots, hyphens and underscores; no path."""
    text = str(values.get(name) or default).strip()
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", text):
        raise AgeGenderError(f"{name}: expected letters, digits, hyphens and underscores, received {text[:40]!r}")
    return text
