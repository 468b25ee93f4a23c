"""Shards: consecutive lines of a list of images, named by number and digest."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

from agegender.errors import AgeGenderError

_MAX_NAME = 1 << 16  # bytes of a line
_PART = re.compile(r"part-(\d{5,})-([0-9a-f]{10})\.(parquet|jsonl)")


@dataclasses.dataclass(frozen=True)
class Shard:
    """Images `first` to `first + count - 1`; the digest covers their names and the settings of the prediction."""

    number: int
    first: int
    count: int
    digest: str
    offset: int = 0  # of its first line in the list file, in bytes

    def name(self, suffix: str) -> str:
        """Return the file name of its predictions."""
        return f"part-{self.number:05d}-{self.digest}.{suffix}"


class Images:
    """The images of a run, in order: the lines of a file, or names in memory.

    Parameters
    ----------
    list_path : str
        A file with one path or address per line; empty lines are ignored.
    names : sequence of str
        Instead of `list_path`.
    """

    def __init__(self, list_path: str = "", names: Iterable[str] = ()) -> None:
        self.list_path, self.names = list_path, list(names)

    def shards(self, size: int, settings: dict[str, Any]) -> list[Shard]:
        """Divide the images into shards of `size`; reads the list once, line by line.

        Raises
        ------
        AgeGenderError
            If the list cannot be read or is empty.
        """
        head = json.dumps(settings, sort_keys=True).encode()
        shards: list[Shard] = []
        digest, first, count, start = hashlib.sha256(head), 0, 0, 0
        for offset, name in self._lines():
            if count == size:
                shards.append(Shard(len(shards), first, count, digest.hexdigest()[:10], start))
                digest, first, count = hashlib.sha256(head), first + count, 0
            if not count:
                start = offset
            digest.update(os.fsencode(name) + b"\n")
            count += 1
        if count:
            shards.append(Shard(len(shards), first, count, digest.hexdigest()[:10], start))
        if not shards:
            raise AgeGenderError(f"{self.list_path or 'the list'}: no image is named")
        return shards

    def of(self, shard: Shard) -> list[str]:
        """Return the names of a shard's images."""
        if not self.list_path:
            return self.names[shard.first : shard.first + shard.count]
        lines = self._lines(shard.offset)
        return [name for _, (_, name) in zip(range(shard.count), lines)]

    def _lines(self, offset: int = 0) -> Iterator[tuple[int, str]]:
        """Yield (offset in bytes, name) from `offset` of the list file, or (number, name) in memory."""
        if not self.list_path:
            yield from enumerate(self.names)
            return
        try:
            with open(self.list_path, "rb") as stream:
                stream.seek(offset)
                for line in iter(lambda: stream.readline(_MAX_NAME), b""):
                    if len(line) == _MAX_NAME:
                        raise AgeGenderError(
                            f"--list {self.list_path}: byte {offset}: a line of {_MAX_NAME} bytes or more"
                        )
                    name = os.fsdecode(line.rstrip(b"\r\n"))
                    if name:
                        yield offset, name
                    offset += len(line)
        except OSError as error:
            raise AgeGenderError(f"--list {self.list_path}: {error.strerror}") from None


def pending(folder: str, shards: list[Shard], suffix: str) -> list[Shard]:
    """Return the shards without a file in `folder`.

    Raises
    ------
    AgeGenderError
        If the folder has a shard of another list, other settings or another shard size: its rows would be mixed with
        those of this run.
    """
    wanted = {shard.name(suffix): shard for shard in shards}
    try:
        present = {name for name in os.listdir(folder) if _PART.fullmatch(name)}
    except FileNotFoundError:
        present = set()
    foreign = sorted(present - set(wanted))
    if foreign:
        raise AgeGenderError(
            f"{folder} has {foreign[0]}, which is of another list, other settings or another --shard; choose another "
            "directory or remove its part files"
        )
    return [shard for name, shard in wanted.items() if name not in present]
