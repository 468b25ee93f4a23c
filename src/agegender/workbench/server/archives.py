"""Archives of a snapshot with DIGITS' names: a tar of prototxt, caffemodel, labels, mean and info.json.

They are streamed without compression and without a temporary file. `python -m agegender.workbench.tasks archive` reads
them.
"""

from __future__ import annotations

import json
import os
import tarfile
import time
from collections.abc import Iterable, Iterator
from typing import Any

BLOCK = 1 << 20


def stream(files: Iterable[tuple[str, str | bytes]]) -> Iterator[bytes]:
    """Yield a tar of (name, path or content)."""
    for name, source in files:
        info = tarfile.TarInfo(name)
        if isinstance(source, bytes):
            info.size, info.mtime = len(source), int(time.time())
            yield info.tobuf(tarfile.PAX_FORMAT) + source + bytes(-info.size % tarfile.BLOCKSIZE)
            continue
        with open(source, "rb") as opened:
            status = os.fstat(opened.fileno())
            info.size, info.mtime = status.st_size, int(status.st_mtime)
            yield info.tobuf(tarfile.PAX_FORMAT)
            yield from _content(opened, info.size)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _content(opened: Any, size: int) -> Iterator[bytes]:
    """Yield exactly `size` bytes of a file, padded to blocks; a file that has become shorter is filled with zeros."""
    left = size
    while left:
        data = opened.read(min(BLOCK, left)) or bytes(min(BLOCK, left))
        left -= len(data)
        yield data
    yield bytes(-size % tarfile.BLOCKSIZE)


def info(name: str, files: dict[str, str], shape: list[int], resize: str = "squash") -> bytes:
    """Return info.json; `files` maps "snapshot", "deploy", "labels" ... to names in the archive."""
    values: dict[str, Any] = {
        "name": name,
        "framework": "caffe",
        "username": "",
        "creation time": time.strftime("%Y-%m-%d %H:%M:%S"),
        "image dimensions": shape,
        "image resize mode": resize,
    }
    values |= {f"{kind} file": file for kind, file in files.items()}
    if "deploy" in files:
        values["model file"] = files["deploy"]
    return (json.dumps(values, indent=4, sort_keys=True) + "\n").encode()
