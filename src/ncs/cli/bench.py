"""Benchmark a model on a device: latency percentiles and throughput per number of requests in flight."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ncs.profile.bench import Result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("-m", "--model", required=True, help="manifest (.json), .xml, .onnx, .blob or .graph")
    parser.add_argument("-d", "--device", default="", help="CPU, MYRIAD … (default: a stick if there is one, else CPU)")
    parser.add_argument(
        "-t", "--seconds", type=float, default=0.0, help="duration per row (default 10, unless -niter is given)"
    )
    parser.add_argument("-niter", "--iterations", type=int, default=0, help="requests per row")
    parser.add_argument(
        "-nireq",
        "--requests",
        default="1",
        metavar="N[,N…]",
        help="requests in flight per stick; a list gives one row per value (default 1)",
    )
    parser.add_argument(
        "-hint",
        "--hint",
        default="",
        choices=("latency", "throughput", "cumulative_throughput"),
        help="OpenVINO performance hint (default: depends on -nireq)",
    )
    parser.add_argument("--json", metavar="FILE", help="write all results to FILE")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    import json

    from caffe.utils.atomic_io import write_bytes
    from ncs.profile import bench
    from ncs.runtime import default_device

    counts = parse_counts(args.requests)
    device, reason = (args.device, "") if args.device else default_device()
    print("Device: {}{}".format(device, f" ({reason})" if reason else ""))
    results = [measure_row(args, device, count) for count in counts]
    if len(results) > 1:
        print(bench.table(results) + "\n")
    best = max(results, key=lambda result: result.throughput)
    print(bench.summary(best))
    if args.json:
        report = {"device": device, "model": args.model, "rows": [result.to_json() for result in results]}
        write_bytes(args.json, json.dumps(report, indent=1) + "\n")


def parse_counts(text: str) -> list[int]:
    """Parse "1,2,4" into [1, 2, 4]."""
    from ncs.errors import NcsError

    parts = text.split(",")
    counts = [int(part) for part in parts if part.strip().isdigit()]
    if len(counts) != len(parts) or min(counts) < 1:
        raise NcsError(f"-nireq: expected a positive integer or a list (1,2,4), received '{text}'")
    return counts


def measure_row(args: argparse.Namespace, device: str, count: int) -> Result:
    """Benchmark the model with `count` requests in flight."""
    import sys

    from ncs.profile import bench
    from ncs.runtime import open_runner

    options, limit = runner_options(device, count, args.hint)
    with open_runner(device, args.model, **options) as runner:
        seconds = 10.0 if not args.seconds and not args.iterations else args.seconds
        result = bench.measure(runner, seconds, args.iterations, max_in_flight=limit)
        if runner.device.upper() != device.upper():
            print(runner.device)
    if count > result.requests:
        print(f"{device} supports {result.requests} requests in flight, not {count}", file=sys.stderr)
    return result


def runner_options(device: str, count: int, hint: str) -> tuple[dict[str, Any], int]:
    """Return (runner options for `count` requests, limit on requests in flight for a runner without that option)."""
    family = device.split(":")[0].split(".")[0].upper()
    if "MYRIAD" in device.upper():
        return {"requests": count}, 0
    if family in ("CPU", "GPU", "NPU", "AUTO", "HETERO", "MULTI"):
        return {"requests": count, "hint": hint or ("latency" if count == 1 else "throughput")}, 0
    return {}, count
