"""The parts of a manifest: its files, inputs and outputs."""

from __future__ import annotations

import os
from dataclasses import dataclass

from caffe.device.transform import Transform
from caffe.utils import file_set
from caffe.utils.hashing import sha256_or_none
from ncs.errors import NcsError


@dataclass(frozen=True)
class File:
    """A file name relative to the manifest, and its SHA-256 in hex."""

    file: str
    sha256: str


@dataclass(frozen=True)
class Input:
    """An input of a net: its blob, its shape (N, C, H, W) and the preprocessing of the image that it receives."""

    name: str
    shape: tuple[int, ...]
    transform: Transform


@dataclass(frozen=True)
class Head:
    """An output of a net: its own name, its blob, the class names of its values in order, and how they are decoded."""

    name: str
    output: str
    labels: list[str]
    label_set: str = ""
    decoder: str = "argmax"
    temperature: float = 1.0

    def faults(self) -> list[str]:
        """Return what is invalid."""
        faults = []
        if not self.decoder.isidentifier():  # applications define decoders; "argmax" is known here
            faults.append(f"expected a name as decoder, such as argmax, received {self.decoder!r}")
        if not self.labels or any(not isinstance(label, str) for label in self.labels):
            faults.append(f"expected labels as a list of one name per output, received {self.labels!r}")
        if isinstance(self.temperature, bool) or not 0 < self.temperature < float("inf"):
            faults.append(f"expected a positive temperature, received {self.temperature!r}")
        return faults


def complete_set(path: str | os.PathLike) -> None:
    """Complete an interrupted replacement of a net's files, one of which is `path`, before it is read."""
    stem = os.path.splitext(os.fspath(path))[0]
    file_set.complete(stem)
    if stem.endswith("_v10"):
        file_set.complete(stem[: -len("_v10")])


def file_of(path: str | os.PathLike, folder: str | os.PathLike = ".") -> File:
    """A File for `path`, named relative to `folder`."""
    digest = sha256_or_none(path)
    if digest is None:
        raise NcsError(f"{os.fspath(path)}: no such file")
    return File(os.path.relpath(os.path.abspath(os.fspath(path)), os.path.abspath(os.fspath(folder))), digest)


def check_digest(path: str, sha256: str) -> None:
    """Raise NcsError if the file does not have its manifest's SHA-256. Unchanged files are hashed once per process."""
    digest = _digest(path)
    if digest != sha256:
        raise NcsError(
            f"{path} has changed since it was compiled: expected SHA-256 {sha256}, received {digest}; compile again"
        )


_digests: dict[str, tuple[tuple[int, ...], str | None]] = {}  # path -> (state of the file, digest)


def _digest(path: str) -> str | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    state = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    cached = _digests.get(path)
    if cached is None or cached[0] != state:
        cached = _digests[path] = (state, sha256_or_none(path))
    return cached[1]
