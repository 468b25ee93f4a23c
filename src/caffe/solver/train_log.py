"""Reader of Caffe training logs, producing the tables of tools/extra/parse_log.py."""

from __future__ import annotations

import dataclasses
import datetime
import math
import os
import re
from collections.abc import Iterable

from caffe.errors import CaffeError
from caffe.utils.input_file import read_text

_NUMBER = r"([-+]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan|inf))(?![\w.])"
_ITERATION = re.compile(r"Iteration (\d{1,15})(?!\d)")
_TRAIN = re.compile(r"Train net output #(\d+): (\S+) = " + _NUMBER)
_TEST = re.compile(r"Test net output #(\d+): (\S+) = " + _NUMBER)
_RATE = re.compile(r"lr = " + _NUMBER)
_LOSS = re.compile(r"Iteration \d+.*, loss = " + _NUMBER)
_STAMP = re.compile(r"[IWEF](\d{4})?(\d\d)(\d\d) (\d+):(\d\d):(\d\d)(?:\.(\d+))? ")


@dataclasses.dataclass
class Table:
    """One dict per iteration with NumIters, Seconds, LearningRate and the outputs."""

    rows: list[dict] = dataclasses.field(default_factory=list)

    def add(self, iteration: int, seconds: float, rate: float, name: str, value: float) -> None:
        """Add one output; a new iteration or a repeated output starts a new row."""
        if not self.rows or self.rows[-1]["NumIters"] != iteration or name in self.rows[-1]:
            self.rows.append({"NumIters": float(iteration), "Seconds": seconds, "LearningRate": rate})
        self.rows[-1][name] = value

    def columns(self) -> list[str]:
        """Return all column names in order of appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def finish(self) -> None:
        """Give the first row the rate of the second, since Caffe prints the rate after the first outputs."""
        if len(self.rows) > 1:
            self.rows[0]["LearningRate"] = self.rows[1]["LearningRate"]


@dataclasses.dataclass
class Log:
    """The contents of a log: tables of train and test outputs, and a list of (iteration, seconds, smoothed loss)."""

    train: Table = dataclasses.field(default_factory=Table)
    test: Table = dataclasses.field(default_factory=Table)
    losses: list[tuple[float, float, float]] = dataclasses.field(default_factory=list)


class _Clock:
    """Time since the line with `Solving`. glog writes no year, so a month that decreases means the next year."""

    def __init__(self, year: int) -> None:
        self.year = year
        self.start: datetime.datetime | None = None
        self.last: datetime.datetime | None = None

    def read(self, line: str) -> datetime.datetime | None:
        """Return the time of a line, or None if it does not start with a time stamp."""
        match = _STAMP.match(line)
        if match is None:
            return None
        month, day, hour, minute, second = (int(word[:9]) for word in match.groups()[1:6])
        micro = int((match.group(7) or "0").ljust(6, "0")[:6])
        if match.group(1):
            self.year = int(match.group(1))
        elif self.last is not None and month < self.last.month:
            self.year += 1
        try:
            self.last = datetime.datetime(self.year, month, day, hour, minute, second, micro)
        except ValueError:
            return None
        return self.last

    def seconds(self, now: datetime.datetime) -> float:
        """Return the seconds from the start to `now`."""
        return (now - self.start).total_seconds() if self.start else 0.0


def read(path: str | os.PathLike) -> Log:
    """Read a training log.

    Parameters
    ----------
    path : str
        The log file.

    Returns
    -------
    Log

    Raises
    ------
    CaffeError
        If the file cannot be read or is not a training log.
    """
    try:
        year = datetime.datetime.fromtimestamp(os.path.getmtime(path)).year
        log = _read(read_text(path, "replace").split("\n"), _Clock(year))
    except OSError as error:
        raise CaffeError(f"log '{path}': {error.strerror}") from None
    if log is None:
        raise CaffeError(f"'{path}' is not a training log: it has no line with a time stamp and `Solving`")
    return log


def _read(lines: Iterable[str], clock: _Clock) -> Log | None:
    log, iteration, rate = Log(), None, math.nan
    for line in lines:
        now = clock.read(line)
        if clock.start is None:
            if now is not None and "Solving" in line:
                clock.start = now
            continue
        match = _ITERATION.search(line)
        if match:
            iteration = int(match.group(1))
        if iteration is None or now is None:
            continue
        match = _RATE.search(line)
        if match:
            rate = float(match.group(1))
        _add_outputs(log, line, iteration, clock.seconds(now), rate)
    if clock.start is None:
        return None
    log.train.finish()
    log.test.finish()
    return log


def _add_outputs(log: Log, line: str, iteration: int, seconds: float, rate: float) -> None:
    for pattern, table in ((_TRAIN, log.train), (_TEST, log.test)):
        match = pattern.search(line)
        if match:
            table.add(iteration, seconds, rate, match.group(2), float(match.group(3)))
    match = _LOSS.search(line)
    if match:
        log.losses.append((iteration, seconds, float(match.group(1))))
