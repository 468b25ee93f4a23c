"""Time a model on a device: latency percentiles and throughput by requests under way."""

from __future__ import annotations


def add_arguments(parser):
    parser.add_argument("-m", "--model", required=True, help="manifest (.json), .xml, .onnx, .blob or .graph")
    parser.add_argument("-d", "--device", default="", help="CPU, MYRIAD … (default: a stick, else CPU)")
    parser.add_argument("-t", "--seconds", type=float, help="time for each row (default 10, unless -niter)")
    parser.add_argument("-niter", "--iterations", type=int, default=0, help="requests for each row")
    parser.add_argument("-nireq", "--requests", default="1", metavar="N[,N…]",
                        help="requests under way; a list gives a row each (default 1)")
    parser.add_argument("-hint", "--hint", default="", help="latency or throughput (default: by -nireq)")
    parser.add_argument("--json", metavar="FILE", help="write all numbers there")


def run(args):
    import json
    import sys

    from caffe.files import write_bytes
    from ncs import bench
    from ncs.errors import NcsError
    from ncs.runners import default_device, open_runner

    words = args.requests.split(",")
    counts = [int(word) for word in words if word.strip().isdigit()]
    if len(counts) != len(words) or min(counts) < 1:
        raise NcsError("-nireq takes a positive number or a list (1,2,4); received '%s'" % args.requests)
    device, why = (args.device, "") if args.device else default_device()
    print("Device: %s%s" % (device, " (%s)" % why if why else ""))
    seconds = args.seconds if args.seconds is not None else 0 if args.iterations else 10
    results = []
    for count in counts:
        with open_runner(device, args.model, **_options(device, count, args.hint)) as runner:
            results.append(bench.measure(runner, seconds, args.iterations))
        if count > results[-1].requests:
            print("%s keeps %d under way, not %d" % (device, results[-1].requests, count), file=sys.stderr)
    if len(results) > 1:
        print(bench.table(results) + "\n")
    best = max(results, key=lambda result: result.throughput)
    print(bench.closing(best))
    if args.json:
        facts = {"device": device, "model": args.model, "rows": [result.to_json() for result in results]}
        write_bytes(args.json, json.dumps(facts, indent=1) + "\n")


def _options(device, count, hint):
    """What the device's runner calls a number of requests."""
    family = device.split(":")[0].split(".")[0].upper()
    if family == "MYRIAD":
        return {"requests": count}
    if family in ("CPU", "GPU", "NPU", "AUTO", "HETERO", "MULTI"):
        return {"requests": count, "hint": hint or ("latency" if count == 1 else "throughput")}
    return {}
