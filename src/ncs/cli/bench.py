"""Time a model on a device: latency percentiles and throughput by requests under way."""

from __future__ import annotations


def add_arguments(parser):
    parser.add_argument("-m", "--model", required=True, help="manifest (.json), .xml, .onnx, .blob or .graph")
    parser.add_argument("-d", "--device", default="", help="CPU, MYRIAD … (default: a stick, else CPU)")
    parser.add_argument(
        "-t", "--seconds", type=float, default=0.0, help="time for each row (default 10, unless -niter)"
    )
    parser.add_argument("-niter", "--iterations", type=int, default=0, help="requests for each row")
    parser.add_argument(
        "-nireq",
        "--requests",
        default="1",
        metavar="N[,N…]",
        help="requests under way, on each stick; a list gives a row each (default 1)",
    )
    parser.add_argument(
        "-hint",
        "--hint",
        default="",
        choices=("latency", "throughput", "cumulative_throughput"),
        help="of OpenVINO (default: by -nireq)",
    )
    parser.add_argument("--json", metavar="FILE", help="write all numbers there")


def run(args):
    import json

    from caffe.utils.atomic_io import write_bytes
    from ncs.profile import bench
    from ncs.runtime import default_device

    counts = counts_of(args.requests)
    device, why = (args.device, "") if args.device else default_device()
    print("Device: {}{}".format(device, f" ({why})" if why else ""))
    results = [measured(args, device, count) for count in counts]
    if len(results) > 1:
        print(bench.table(results) + "\n")
    best = max(results, key=lambda result: result.throughput)
    print(bench.closing(best))
    if args.json:
        facts = {"device": device, "model": args.model, "rows": [result.to_json() for result in results]}
        write_bytes(args.json, json.dumps(facts, indent=1) + "\n")


def counts_of(text):
    """[1, 2, 4] of "1,2,4"."""
    from ncs.errors import NcsError

    words = text.split(",")
    counts = [int(word) for word in words if word.strip().isdigit()]
    if len(counts) != len(words) or min(counts) < 1:
        raise NcsError(f"-nireq takes a positive number or a list (1,2,4); received '{text}'")
    return counts


def measured(args, device, count):
    """One row: the model with `count` requests under way."""
    import sys

    from ncs.profile import bench
    from ncs.runtime import open_runner

    options, most = options_of(device, count, args.hint)
    with open_runner(device, args.model, **options) as runner:
        seconds = 10.0 if not args.seconds and not args.iterations else args.seconds
        result = bench.measure(runner, seconds, args.iterations, most=most)
        if runner.device.upper() != device.upper():
            print(runner.device)
    if count > result.requests:
        print("%s keeps %d under way, not %d" % (device, result.requests, count), file=sys.stderr)
    return result


def options_of(device, count, hint):
    """(what the device's runner calls a number of requests, how many to keep under way where it has no word for it)."""
    family = device.split(":")[0].split(".")[0].upper()
    if "MYRIAD" in device.upper():
        return {"requests": count}, 0
    if family in ("CPU", "GPU", "NPU", "AUTO", "HETERO", "MULTI"):
        return {"requests": count, "hint": hint or ("latency" if count == 1 else "throughput")}, 0
    return {}, count
