"""Progress of long work: one live line with an ETA on a terminal, a plain line now and then in a log."""

from __future__ import annotations

import sys
import time


def clock_text(seconds):
    """1:02:03 or 2:03."""
    minutes, seconds = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return "%d:%02d:%02d" % (hours, minutes, seconds) if hours else "%d:%02d" % (minutes, seconds)


class Progress:
    """Count `total` steps of `what`; a context manager.

    On a terminal one line is rewritten at most ten times a second; elsewhere a line is printed
    every `every` seconds (30) and one at the end.
    """

    def __init__(self, what, total, unit="", stream=None, every=30.0, start=0):
        self.what, self.total, self.unit = what, total, unit
        self.stream = sys.stderr if stream is None else stream
        self.live = self.stream.isatty()
        self.every = 0.1 if self.live else every
        self.done = self.first = start
        self.note = ""
        self.began = self.shown = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            self._show()
        if self.live:
            self.stream.write("\n")
            self.stream.flush()

    def step(self, count=1, note=None):
        """`count` more are done; `note` (a loss, say) stands at the end of the line."""
        self.done += count
        if note is not None:
            self.note = note
        now = time.monotonic()
        if now - self.shown >= self.every:
            self.shown = now
            self._show()

    def clear(self):
        """Take the live line off the terminal, so that another line can be printed."""
        if self.live:
            self.stream.write("\r\x1b[K")
            self.stream.flush()

    def _show(self):
        spent = time.monotonic() - self.began
        rate = (self.done - self.first) / spent if spent > 0 else 0.0
        text = "%s: %d/%d%s (%d %%)" % (
            self.what,
            self.done,
            self.total,
            " " + self.unit if self.unit else "",
            100 * self.done // max(self.total, 1),
        )
        if self.done < self.total and rate > 0:
            text += f", {rate:.3g}/s, ETA {clock_text((self.total - self.done) / rate)}"
        else:
            text += f", {clock_text(spent)}"
        if self.note:
            text += ", " + self.note
        self.stream.write("\r\x1b[K" + text if self.live else text + "\n")
        self.stream.flush()
