"""Benchmarks a model on a device: latency percentiles, throughput and temperature per number of requests in flight."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ncs.errors import NcsError
from ncs.runtime.base import Batch, Runner


@dataclass(frozen=True)
class Result:
    """`latencies` in milliseconds, one per request; `duration` in seconds; `temperature` in °C or None."""

    requests: int
    batch: int
    duration: float
    latencies: tuple[float, ...]
    temperature: float | None = None

    @property
    def throughput(self) -> float:
        """Images per second."""
        return len(self.latencies) * self.batch / self.duration

    def percentile(self, percent: float) -> float:
        """Return the latency in milliseconds that `percent` percent of the requests did not exceed."""
        return float(np.percentile(self.latencies, percent))

    def to_json(self) -> dict:
        """Return plain numbers for json.dump."""
        report = {
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
        report.update({f"latency_p{percent:g}": self.percentile(percent) for percent in (50, 90, 95, 99)})
        return report


def measure(
    runner: Runner,
    seconds: float = 0.0,
    iterations: int = 0,
    clock: Callable[[], float] = time.perf_counter,
    max_in_flight: int = 0,
) -> Result:
    """Run seeded noise through a model and measure latency and throughput.

    One round of requests before the clock starts warms up the device.

    Parameters
    ----------
    runner : Runner
    seconds, iterations
        Stop after this time or number of requests, whichever comes first; 0 for no limit.
    clock : callable
        Returns the time in seconds.
    max_in_flight : int
        Limit on the requests in flight; 0 for `runner.in_flight`.

    Returns
    -------
    Result

    Raises
    ------
    NcsError
        The input size is unknown, or neither `seconds` nor `iterations` is given.
    """
    shape = runner.input_shape
    if not shape:
        raise NcsError(f"{runner.device} does not report the input size of the model; give the manifest (.json)")
    if seconds <= 0 and iterations <= 0:
        raise NcsError("nothing to measure: expected seconds or iterations above 0")
    in_flight = min(max_in_flight or runner.in_flight, runner.in_flight)
    batch = _random_batch(runner)
    for _ in range(in_flight):
        runner.submit(batch)()
    pending: collections.deque = collections.deque()
    latencies: list[float] = []
    submitted = 0
    start = clock()
    while pending or submitted == 0 or not _finished(submitted, clock() - start, seconds, iterations):
        if len(pending) < in_flight and not _finished(submitted, clock() - start, seconds, iterations):
            pending.append((clock(), runner.submit(batch)))
            submitted += 1
            continue
        submit_time, wait = pending.popleft()
        wait()
        latencies.append((clock() - submit_time) * 1e3)
    duration = clock() - start
    return Result(in_flight, shape[0], duration, tuple(latencies), runner.temperature())


def _random_batch(runner: Runner) -> Batch:
    rng = np.random.default_rng(0)
    shapes = runner.input_shapes or {"": runner.input_shape}
    arrays = {name: rng.uniform(-100, 100, sizes).astype(np.float32) for name, sizes in shapes.items()}
    return arrays if runner.input_shapes else arrays[""]


def _finished(submitted: int, elapsed: float, seconds: float, iterations: int) -> bool:
    return 0 < iterations <= submitted or 0 < seconds <= elapsed


def summary(result: Result) -> str:
    """Format the final lines that OpenVINO's benchmark_app prints."""
    return "\n".join(
        [
            f"Count:               {len(result.latencies)} iterations",
            f"Duration:            {result.duration * 1e3:.2f} ms",
            "Latency:",
            f"   Median:           {result.percentile(50):.2f} ms",
            f"   Average:          {np.mean(result.latencies):.2f} ms",
            f"   Min:              {min(result.latencies):.2f} ms",
            f"   Max:              {max(result.latencies):.2f} ms",
            f"Throughput:          {result.throughput:.2f} FPS",
        ]
    )


def table(results: list[Result]) -> str:
    """Format one line per number of requests in flight."""
    rows = ["requests   count   p50 ms   p90 ms   p95 ms   p99 ms       FPS     deg C"]
    for result in results:
        temperature = "-" if result.temperature is None else f"{result.temperature:.1f}"
        latencies = "".join(f" {result.percentile(percent):8.2f}" for percent in (50, 90, 95, 99))
        count = len(result.latencies)
        rows.append(f"{result.requests:8d} {count:7d}{latencies} {result.throughput:9.2f} {temperature:>9}")
    return "\n".join(rows)
