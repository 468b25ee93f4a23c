"""Follow training logs: points of the curves as they are written, each with the byte where the next begins.

A client that reconnects names the byte it has reached (Last-Event-ID) and receives what follows. Every log is read
once, however many clients watch it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import math
import os
import re
import time
from collections.abc import AsyncIterator
from typing import Any

_NUMBER = r"([-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|nan|inf))"
_ITERATION = re.compile(rb"Iteration (\d{1,15})\b")
_LOSS = re.compile(r"Iteration \d+ .*?, loss = " + _NUMBER)
_FIRST_LOSS = re.compile(r"Iteration \d+, loss = " + _NUMBER)
_OUTPUT = re.compile(r"(Train|Test) net output #\d+: (\S{1,200}) = " + _NUMBER)
_RATE = re.compile(r", lr = " + _NUMBER)
_SNAPSHOT = re.compile(r"Snapshotting to [\w ]{1,40} file .{0,2000}_iter_(\d+)\.caffemodel")
_SPEED = re.compile(r"\(([\d.eE+-]+) iter/s")
CHUNK = 256 << 10
POLL_SECONDS = 0.5
KEEP_SECONDS = 60.0  # a log that nobody watches is kept open
HEARTBEAT_SECONDS = 15.0
MAX_LINE = 4096
SATURATED = 87.3  # the loss of a softmax that is certain of a wrong class


class Parser:
    """Turn lines of a training log into points {series: [[iteration, value], ...]}."""

    def __init__(self) -> None:
        self.iteration: int | None = None
        self.speed = 0.0

    def parse(self, text: str) -> dict[str, list[list[float | None]]]:
        """Return the points of complete lines; a value that is not finite is None."""
        points: dict[str, list[list[float | None]]] = {}

        def add(series: str, value: str) -> None:
            number = float(value)
            if self.iteration is not None:
                points.setdefault(series, []).append([self.iteration, number if math.isfinite(number) else None])

        for line in text.splitlines():
            line = line[:MAX_LINE]
            if started := _ITERATION.search(line.encode("utf-8", "replace")):
                self.iteration = int(started.group(1))
            if match := _LOSS.search(line) or _FIRST_LOSS.search(line):
                add("loss", match.group(1))
                if speed := _SPEED.search(line):
                    with contextlib.suppress(ValueError):
                        self.speed = float(speed.group(1)) or self.speed
            elif match := _OUTPUT.search(line):
                if match.group(1) == "Test":
                    add("test " + match.group(2), match.group(3))
            elif match := _RATE.search(line):
                add("lr", match.group(1))
            elif match := _SNAPSHOT.search(line):
                points.setdefault("snapshots", []).append([int(match.group(1)), 0])
        return points


@dataclasses.dataclass
class Chunk:
    """Part of a log: the byte at which a client resumes after it, and the event as it is sent."""

    end: int
    data: bytes


class Follower:
    """One log, read by one task for all of its watchers."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.chunks: list[Chunk] = []
        self.generation = 0  # increases when the log is truncated
        self.watchers = 0
        self._offset = 0
        self._parser = Parser()
        self._changed = asyncio.Event()
        self._task: asyncio.Task | None = None
        self._idle_since = time.monotonic()

    def read(self) -> bool:
        """Read what has been appended; return whether there is anything new."""
        try:
            with open(self.path, "rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                if size < self._offset:
                    self._reset()
                stream.seek(self._offset)
                data = stream.read(CHUNK)
        except OSError:
            return False
        complete = data[: data.rfind(b"\n") + 1] or (data if len(data) == CHUNK else b"")
        if not complete:
            return False
        begin = self._offset
        self._offset += len(complete)
        points = self._parser.parse(complete.decode("utf-8", "replace"))
        if points:
            # a client that resumes here needs the iteration that following lines refer to
            last = [match.start() for match in _ITERATION.finditer(complete)][-1:]
            end = begin + complete.rfind(b"\n", 0, last[0]) + 1 if last else self._offset
            self._append(end, points)
        return True

    def _append(self, end: int, points: dict[str, Any]) -> None:
        value = json.dumps({**points, "speed": self._parser.speed}, separators=(",", ":"))
        self.chunks.append(Chunk(end, f"id: {end}\ndata: {value}\n\n".encode()))

    def _reset(self) -> None:
        self.chunks, self._offset, self._parser = [], 0, Parser()
        self.generation += 1

    async def _follow(self) -> None:
        while self.watchers or time.monotonic() - self._idle_since < KEEP_SECONDS:
            new = await asyncio.to_thread(self.read)
            if new:
                changed, self._changed = self._changed, asyncio.Event()
                changed.set()
            await asyncio.sleep(0 if new else POLL_SECONDS)
        self._task = None

    async def watch(self, start: int = 0) -> AsyncIterator[bytes]:
        """Yield events from the byte `start` on, without end; a comment line when nothing happens for a while."""
        self.watchers += 1
        try:
            if self._task is None:
                self._task = asyncio.create_task(self._follow())
            yield b"retry: 2000\n\n"
            position, generation = 0, self.generation
            while position < len(self.chunks) and self.chunks[position].end <= start:
                position += 1
            while True:
                if generation != self.generation:
                    position, generation = 0, self.generation
                    yield b"id: 0\nevent: restart\ndata: {}\n\n"
                changed = self._changed
                if position < len(self.chunks):
                    new, position = self.chunks[position:], len(self.chunks)
                    yield b"".join(chunk.data for chunk in new)
                    continue
                try:
                    await asyncio.wait_for(changed.wait(), HEARTBEAT_SECONDS)
                except asyncio.TimeoutError:  # another class than TimeoutError before Python 3.11
                    yield b": nothing new\n\n"
        finally:
            self.watchers -= 1
            self._idle_since = time.monotonic()


class Followers:
    """The followers of all watched logs."""

    def __init__(self) -> None:
        self._by_path: dict[str, Follower] = {}

    def of(self, path: str) -> Follower:
        """Return the follower of a log; followers without watchers are forgotten."""
        for other, follower in list(self._by_path.items()):
            if follower._task is None and not follower.watchers:
                del self._by_path[other]
        return self._by_path.setdefault(path, Follower(path))

    @property
    def watchers(self) -> int:
        """The number of open event streams."""
        return sum(follower.watchers for follower in self._by_path.values())

    async def close(self) -> None:
        """Cancel all readers."""
        for follower in self._by_path.values():
            if follower._task is not None:
                follower._task.cancel()


def series(path: str, most: int = 64 << 20) -> dict[str, list[list[float | None]]]:
    """Return all points of a log; of a log larger than `most` bytes, those of its end."""
    from agegender.workbench.server.jobs import tail_text

    parser = Parser()
    points: dict[str, list] = {}
    for name, values in parser.parse(tail_text(path, most)).items():
        points[name] = list({row[0]: row for row in values}.values()) if name == "snapshots" else values
    return points


def explain(points: dict[str, list[list[float | None]]]) -> str:
    """Return why the training failed as the curve shows it, "" if it looks healthy."""
    for iteration, loss in points.get("loss", []):
        if loss is None:
            return (
                f"The loss is not finite at iteration {iteration}: the training has diverged. Lower base_lr to "
                "a tenth, set clip_gradients, and check the mean file and the scale of the input."
            )
        if loss >= SATURATED:
            return (
                f"The loss reached {loss:.4g} at iteration {iteration}: the softmax gives true classes probability 0. "
                "Lower base_lr to a tenth, and check that labels are below num_output of the last layer."
            )
    return ""


def best_snapshot(points: dict[str, list[list[float | None]]]) -> int | None:
    """Return the iteration of the snapshot with the highest test accuracy, or else the lowest test loss."""
    iterations = {int(row[0]) for row in points.get("snapshots", []) if row[0] is not None}
    for marker, sign in (("accuracy", 1), ("loss", -1)):
        for name, rows in points.items():
            if name.startswith("test ") and marker in name:
                tested = [(sign * v, i) for i, v in rows if v is not None and i in iterations]
                if tested:
                    best = max(tested)[1]
                    return None if best is None else int(best)
    return None
