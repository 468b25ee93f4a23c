"""Times a model on a device: latency percentiles, throughput by requests under way, temperature if told."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ncs.errors import NcsError
from ncs.runtime.base import Runner


@dataclass(frozen=True)
class Result:
    """`latencies` in milliseconds, one a request; `duration` in seconds; `temperature` in °C or None."""

    requests: int
    batch: int
    duration: float
    latencies: tuple[float, ...]
    temperature: float | None = None

    @property
    def throughput(self) -> float:
        """Pictures a second."""
        return len(self.latencies) * self.batch / self.duration

    def percentile(self, share: float) -> float:
        """Latency in milliseconds that `share` percent of the requests did not exceed."""
        return float(np.percentile(self.latencies, share))

    def to_json(self) -> dict:
        """Plain numbers, for json.dump."""
        facts = {
            "requests": self.requests,
            "batch": self.batch,
            "count": len(self.latencies),
            "duration_ms": self.duration * 1e3,
            "throughput": self.throughput,
            "latency_avg": float(np.mean(self.latencies)),
            "latency_min": min(self.latencies),
            "latency_max": max(self.latencies),
            "temperature": self.temperature,
        }
        facts.update({f"latency_p{share:g}": self.percentile(share) for share in (50, 90, 95, 99)})
        return facts


def measure(
    runner: Runner,
    seconds: float = 0.0,
    iterations: int = 0,
    clock: Callable[[], float] = time.perf_counter,
    most: int = 0,
) -> Result:
    """Keep `runner.in_flight` requests (at most `most`) under way for `seconds` or `iterations`, whichever ends first.

    The pictures are seeded noise; one round of requests before the clock starts warms the device up.
    """
    shape = runner.input_shape
    if not shape:
        raise NcsError(f"{runner.device} does not tell the size of its pictures; give the manifest (.json)")
    if seconds <= 0 and iterations <= 0:
        raise NcsError("nothing to measure: give seconds or a number of requests above 0")
    keep = min(most or runner.in_flight, runner.in_flight)
    picture = np.random.default_rng(0).uniform(-100, 100, shape).astype(np.float32)
    for _ in range(keep):
        runner.submit(picture)()
    under_way: collections.deque = collections.deque()
    latencies: list[float] = []
    started = 0
    begun = clock()
    while under_way or started == 0 or not _enough(started, clock() - begun, seconds, iterations):
        if len(under_way) < keep and not _enough(started, clock() - begun, seconds, iterations):
            under_way.append((clock(), runner.submit(picture)))
            started += 1
            continue
        since, wait = under_way.popleft()
        wait()
        latencies.append((clock() - since) * 1e3)
    duration = clock() - begun
    return Result(keep, shape[0], duration, tuple(latencies), runner.temperature())


def _enough(started: int, spent: float, seconds: float, iterations: int) -> bool:
    return 0 < iterations <= started or 0 < seconds <= spent


def closing(result: Result) -> str:
    """The lines benchmark_app ends with."""
    return "\n".join(
        [
            "Count:               %d iterations" % len(result.latencies),
            "Duration:            %.2f ms" % (result.duration * 1e3),
            "Latency:",
            f"   Median:           {result.percentile(50):.2f} ms",
            f"   Average:          {np.mean(result.latencies):.2f} ms",
            f"   Min:              {min(result.latencies):.2f} ms",
            f"   Max:              {max(result.latencies):.2f} ms",
            f"Throughput:          {result.throughput:.2f} FPS",
        ]
    )


def table(results: list[Result]) -> str:
    """One line for each number of requests under way."""
    rows = ["requests   count   p50 ms   p90 ms   p95 ms   p99 ms       FPS     deg C"]
    for result in results:
        heat = "-" if result.temperature is None else f"{result.temperature:.1f}"
        shares = "".join(f" {result.percentile(share):8.2f}" for share in (50, 90, 95, 99))
        rows.append("%8d %7d%s %9.2f %9s" % (result.requests, len(result.latencies), shares, result.throughput, heat))
    return "\n".join(rows)
