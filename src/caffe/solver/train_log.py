"""Training logs of Caffe's (or ours), read into tables as tools/extra/parse_log.py does."""

from __future__ import annotations

import dataclasses
import datetime
import math
import os
import re

from caffe.errors import CaffeError

_NUMBER = r"([-+]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan|inf))(?![\w.])"
_ITERATION = re.compile(r"Iteration (\d{1,15})(?!\d)")
_TRAIN = re.compile(r"Train net output #(\d+): (\S+) = " + _NUMBER)
_TEST = re.compile(r"Test net output #(\d+): (\S+) = " + _NUMBER)
_RATE = re.compile(r"lr = " + _NUMBER)
_LOSS = re.compile(r"Iteration \d+.*, loss = " + _NUMBER)
_STAMP = re.compile(r"[IWEF](\d{4})?(\d\d)(\d\d) (\d+):(\d\d):(\d\d)(?:\.(\d+))? ")


@dataclasses.dataclass
class Table:
    """Rows as dicts with NumIters, Seconds, LearningRate and the outputs; a row is full when an iteration is
    over.
    """

    rows: list[dict] = dataclasses.field(default_factory=list)

    def add(self, iteration: int, seconds: float, rate: float, name: str, value: float) -> None:
        """Enter one output; a new iteration begins a row, as does an output that the row has."""
        if not self.rows or self.rows[-1]["NumIters"] != iteration or name in self.rows[-1]:
            self.rows.append({"NumIters": float(iteration), "Seconds": seconds, "LearningRate": rate})
        self.rows[-1][name] = value

    def columns(self) -> list[str]:
        """All column names, in the order in which they came."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def finish(self) -> None:
        """Caffe prints the rate after the first outputs: the first row takes the second's."""
        if len(self.rows) > 1:
            self.rows[0]["LearningRate"] = self.rows[1]["LearningRate"]


@dataclasses.dataclass
class Log:
    """What a log holds: rows of the train and test outputs, and (iteration, seconds, smoothed loss)."""

    train: Table = dataclasses.field(default_factory=Table)
    test: Table = dataclasses.field(default_factory=Table)
    losses: list[tuple[float, float, float]] = dataclasses.field(default_factory=list)


class _Clock:
    """Seconds since the line with `Solving`; glog writes no year, so that one that goes back has gone into
    the next.
    """

    def __init__(self, year: int) -> None:
        self.year, self.start, self.last = year, None, None

    def read(self, line: str):
        """The time of a line, None where it begins with none."""
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

    def seconds(self, now) -> float:
        return (now - self.start).total_seconds()


def read(path: str | os.PathLike) -> Log:
    """Read a log; CaffeError where it is none of a training."""
    try:
        year = datetime.datetime.fromtimestamp(os.path.getmtime(path)).year
        with open(path, encoding="utf-8", errors="replace") as stream:
            log = _read(stream, _Clock(year))
    except OSError as error:
        raise CaffeError(f"log '{path}': {error.strerror}") from None
    if log is None:
        raise CaffeError(f"'{path}' is no log of a training: no line with a time and `Solving` was found")
    return log


def _read(lines, clock: _Clock):
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
        _enter(log, line, iteration, clock.seconds(now), rate)
    if clock.start is None:
        return None
    log.train.finish()
    log.test.finish()
    return log


def _enter(log: Log, line: str, iteration: int, seconds: float, rate: float) -> None:
    for pattern, table in ((_TRAIN, log.train), (_TEST, log.test)):
        match = pattern.search(line)
        if match:
            table.add(iteration, seconds, rate, match.group(2), float(match.group(3)))
    match = _LOSS.search(line)
    if match:
        log.losses.append((iteration, seconds, float(match.group(1))))
