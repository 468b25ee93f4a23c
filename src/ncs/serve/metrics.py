"""Counters in Prometheus' text format."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Callable

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """Counts of values up to each of BUCKETS, their sum and number."""

    def __init__(self) -> None:
        self.counts, self.sum = [0] * (len(BUCKETS) + 1), 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect.bisect_left(BUCKETS, value)] += 1
        self.sum += value

    def lines(self, name: str, labels: str) -> list[str]:
        """Return the lines of the text format."""
        total, lines = 0, []
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self.counts):
            total += count
            lines.append(f'{name}_bucket{{{labels},le="{bound}"}} {total}')
        return [*lines, f"{name}_sum{{{labels}}} {self.sum:.6f}", f"{name}_count{{{labels}}} {total}"]


class Metrics:
    """The counters of a server; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, str, int], int] = {}
        self._seconds: dict[str, Histogram] = {}
        self._batches: dict[str, Histogram] = {}
        self._rows: dict[str, int] = {}
        self.gauges: dict[str, Callable[[], float]] = {}  # queued images by model

    def request(self, model: str, protocol: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        with self._lock:
            key = (model, protocol, status)
            self._requests[key] = self._requests.get(key, 0) + 1
            if model:
                self._seconds.setdefault(model, Histogram()).add(seconds)

    def batch(self, model: str, rows: int, seconds: float) -> None:
        """Count a batch that ran."""
        with self._lock:
            self._batches.setdefault(model, Histogram()).add(seconds)
            self._rows[model] = self._rows.get(model, 0) + rows

    def text(self) -> str:
        """Return all counters in the text format."""
        with self._lock:
            lines = [
                "# HELP ncs_requests_total Requests by model, protocol and status.",
                "# TYPE ncs_requests_total counter",
            ]
            for (model, protocol, status), count in sorted(self._requests.items()):
                lines.append(f'ncs_requests_total{{model="{model}",protocol="{protocol}",code="{status}"}} {count}')
            for name, text, histograms in (
                ("ncs_request_seconds", "Seconds from the request's head to the answer.", self._seconds),
                ("ncs_batch_seconds", "Seconds of a batch on the device.", self._batches),
            ):
                lines += [f"# HELP {name} {text}", f"# TYPE {name} histogram"]
                for model, histogram in sorted(histograms.items()):
                    lines += histogram.lines(name, f'model="{model}"')
            lines += ["# HELP ncs_images_total Images that ran.", "# TYPE ncs_images_total counter"]
            lines += [f'ncs_images_total{{model="{model}"}} {count}' for model, count in sorted(self._rows.items())]
        lines += ["# HELP ncs_queued_images Images that wait.", "# TYPE ncs_queued_images gauge"]
        lines += [f'ncs_queued_images{{model="{model}"}} {value():g}' for model, value in sorted(self.gauges.items())]
        return "\n".join(lines) + "\n"
