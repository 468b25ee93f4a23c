"""Progress output: one live line with an ETA on a terminal, a plain line at intervals in a log."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from caffe.utils.cli import verbosity


def clock_text(seconds: float) -> str:
    """Format a duration as 1:02:03 or 2:03."""
    minutes, seconds = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Progress:
    """Context manager that shows the progress of `total` steps.

    On a terminal one line is rewritten at most ten times per second; otherwise a line is printed at intervals and one
    at the end.

    Parameters
    ----------
    what : str
        Label at the start of the line.
    total : int
        Number of steps.
    unit : str
        Unit of the steps.
    stream : text stream, optional
        Standard error by default.
    every : float
        Seconds between lines if the stream is not a terminal.
    start : int
        Number of steps already done.
    """

    def __init__(
        self,
        what: str,
        total: int,
        unit: str = "",
        stream: TextIO | None = None,
        every: float = 30.0,
        start: int = 0,
    ) -> None:
        self.what, self.total, self.unit = what, total, unit
        self.stream = sys.stderr if stream is None else stream
        self.live = self.stream.isatty()
        self.every = 0.1 if self.live else every
        self.done = self.first = start
        self.note = ""
        self.start_time = self.last_update = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc, traceback):
        if exc_type is None:
            self._show()
        if self.live:
            self.stream.write("\n")
            self.stream.flush()

    def step(self, count: int = 1, note: str | None = None) -> None:
        """Add `count` finished steps; `note` (for example a loss) is appended to the line."""
        self.done += count
        if note is not None:
            self.note = note
        now = time.monotonic()
        if now - self.last_update >= self.every:
            self.last_update = now
            self._show()

    def clear(self) -> None:
        """Erase the live line so that another line can be printed."""
        if self.live:
            self.stream.write("\r\x1b[K")
            self.stream.flush()

    def _show(self):
        if verbosity.level() == verbosity.QUIET:
            return
        elapsed = time.monotonic() - self.start_time
        rate = (self.done - self.first) / elapsed if elapsed > 0 else 0.0
        unit = " " + self.unit if self.unit else ""
        text = f"{self.what}: {self.done}/{self.total}{unit} ({100 * self.done // max(self.total, 1)} %)"
        if self.done < self.total and rate > 0:
            text += f", {rate:.3g}/s, ETA {clock_text((self.total - self.done) / rate)}"
        else:
            text += f", {clock_text(elapsed)}"
        if self.note:
            text += ", " + self.note
        self.stream.write("\r\x1b[K" + text if self.live else text + "\n")
        self.stream.flush()
