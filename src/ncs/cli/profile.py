"""Tell where a net's time goes, layer by layer, as mvNCProfile did: a table, and a report in HTML.

Measured on the CPU through OpenVINO's counters, or on a stick where one is; else estimated for the stick from the stages of
its blob, and called an estimate: a lower bound under stated assumptions.
"""

from __future__ import annotations


def add_arguments(parser):
    from ncs.cli import _net

    parser.add_argument("network", help="network.prototxt (train_val or deploy)")
    _net.add_arguments(parser)
    parser.add_argument(
        "-s", dest="shaves", type=_net.positive, help="SHAVE cores of the blob (default: the compiler chooses)"
    )
    parser.add_argument("--platform", choices=("MA2480", "MA2450"), default="MA2480", help="chip of the estimate")
    parser.add_argument("-d", "--device", default="", help="CPU, MYRIAD, or ESTIMATE (default: a stick, else ESTIMATE)")
    parser.add_argument(
        "-n", "--runs", type=int, default=10, help="measured runs, of which the median counts (default 10)"
    )
    parser.add_argument(
        "-o", dest="output", default="output_report.html", help="the report (default output_report.html)"
    )
    parser.add_argument("--json", metavar="FILE", help="write the table there")


def run(args):
    import dataclasses
    import json
    import os
    import tempfile

    from caffe.convert.onnx_export import export_net
    from caffe.utils.atomic_io import write_bytes
    from ncs.cli import _net
    from ncs.profile import profile
    from ncs.profile.html import report

    device, net = device_of(args.device), _net.net_of(args, build_only=True)
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        path = os.path.join(scratch, "net.onnx")
        export_net(net, path)
        rows, note = estimated(args, net, path) if device == "ESTIMATE" else timed(args, net, path, device)
    print(note)
    print(profile.table(rows))
    title = "%s: profile" % (net.name or os.path.basename(args.network))
    write_bytes(args.output, report(title, note, net, rows))
    if args.json:
        facts = {
            "device": device,
            "note": note,
            "total_ms": profile.total(rows),
            "layers": [dataclasses.asdict(row) for row in rows],
        }
        write_bytes(args.json, json.dumps(facts, indent=1) + "\n")
    print("wrote " + args.output)
    return 0


def device_of(name):
    """The device asked for; else a stick; else the estimate."""
    from ncs.cli.check import device_of
    from ncs.errors import NcsError

    found = device_of(name)
    family = found.split(".")[0]
    if family not in ("FP16", "SIMULATOR", "ESTIMATE", "CPU", "GPU", "NPU", "MYRIAD"):
        raise NcsError(
            f"-d {name}: times of layers are told by CPU, GPU, NPU and MYRIAD; ESTIMATE is for a stick that is not there"
        )
    return "ESTIMATE" if family in ("FP16", "SIMULATOR") else found


def estimated(args, net, path):
    """(rows, note) for a stick that was not asked."""
    from caffe.convert.onnx_export import layer_names
    from ncs.profile import profile

    blob, stages = profile.compile_and_read(path, args.platform, args.shaves)
    chip = profile.CHIPS[args.platform]
    rows = profile.estimate(net, blob, stages, chip, layer_names(path, "tensor"))
    engines = "convolution engines at %.0f GFLOP/s, " % (chip.hw / 1e9) if chip.hw else ""
    return rows, (
        "ESTIMATE for %s, nothing was measured: a lower bound from the %d stages of the blob, with %seach SHAVE "
        "core at %.1f GFLOP/s and memory at %.1f GB/s, one stage after the other. A real stick takes longer."
        % (args.platform, len(blob.stages), engines, chip.shave / 1e9, chip.memory / 1e9)
    )


def timed(args, net, path, device):
    """(rows, note) measured: the median of each node over the runs."""
    import statistics

    import numpy as np

    from caffe.convert.onnx_export import layer_names
    from ncs.myriad.compiler import compile_blob
    from ncs.profile import profile
    from ncs.runtime import open_runner

    if device.startswith("MYRIAD"):
        compile_blob(path, path[:-5] + ".blob", args.platform, args.shaves)
    source = path[:-5] + ".blob" if device.startswith("MYRIAD") else path
    shape = net.blobs[net.inputs[0]].shape
    batch = np.random.default_rng(0).uniform(-100, 100, shape).astype(np.float32)
    times, kinds = {}, {}
    with open_runner(device, source, counters=True) as runner:
        runner.run(batch)
        for _ in range(max(1, args.runs)):
            for name, kind, milliseconds in runner.profile(batch):
                times.setdefault(name, []).append(milliseconds)
                kinds[name] = kind
    counters = [(name, kinds[name], statistics.median(values)) for name, values in times.items()]
    bytes_each = 2 if device.startswith("MYRIAD") else 4
    rows = profile.measured(
        net, counters, layer_names(path, "tensor" if device.startswith("MYRIAD") else "node"), bytes_each
    )
    return rows, "Measured on %s: median of %d runs; layers without a time were computed as part of another" % (
        device,
        max(1, args.runs),
    )
