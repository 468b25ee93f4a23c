"""Profile a net layer by layer, as mvNCProfile did: a table and an HTML report.

Times are measured on a stick if there is one, or on the CPU with OpenVINO's performance counters. Without a stick they
are estimated from the stages of the blob and labelled as an estimate: a lower bound under stated assumptions.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caffe.net.net import Net
    from ncs.profile.profile import Row


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    from ncs.cli import _net

    parser.add_argument(
        "network",
        help="network.prototxt (train_val or deploy), or a .blob or its manifest for the counts of each stage",
    )
    _net.add_arguments(parser)
    parser.add_argument(
        "-s", dest="shaves", type=_net.positive_int, help="SHAVE cores of the blob (default: the compiler chooses)"
    )
    parser.add_argument("--platform", choices=("MA2480", "MA2450"), default="MA2480", help="chip for the estimate")
    parser.add_argument(
        "-d", "--device", default="", help="CPU, MYRIAD, or ESTIMATE (default: a stick if there is one, else ESTIMATE)"
    )
    parser.add_argument("-n", "--runs", type=int, default=10, help="measured runs; reports their median (default 10)")
    parser.add_argument(
        "-o", dest="output", default="output_report.html", help="HTML report (default output_report.html)"
    )
    parser.add_argument("--json", metavar="FILE", help="write the table to FILE")


def run(args: argparse.Namespace) -> int:
    """Run the command and return the exit status."""
    import dataclasses
    import json
    import os
    import tempfile

    from caffe.convert.onnx_export import export_net
    from caffe.utils.atomic_io import write_bytes
    from ncs.cli import _net
    from ncs.profile import profile
    from ncs.profile.html import report

    if args.network.endswith((".blob", ".json")):
        return count_stages(args)
    device, net = select_device(args.device), _net.load_net(args, build_only=True)
    with tempfile.TemporaryDirectory(prefix="caffe2ncs-") as scratch:
        path = os.path.join(scratch, "net.onnx")
        export_net(net, path)
        rows, note = run_estimate(args, net, path) if device == "ESTIMATE" else measure(args, net, path, device)
    print(note)
    print(profile.table(rows))
    title = "%s: profile" % (net.name or os.path.basename(args.network))
    write_bytes(args.output, report(title, note, net, rows))
    if args.json:
        profile_data = {
            "device": device,
            "note": note,
            "total_ms": profile.total(rows),
            "layers": [dataclasses.asdict(row) for row in rows],
        }
        write_bytes(args.json, json.dumps(profile_data, indent=1) + "\n")
    print("wrote " + args.output)
    return 0


def count_stages(args: argparse.Namespace) -> int:
    """Print the simulator's counts of a blob's stages; the counts of an inference do not depend on its input."""
    import json

    from caffe.utils.atomic_io import write_bytes
    from ncs.errors import NcsError
    from ncs.profile import profile
    from ncs.runtime import base

    path = base.Model.of(args.network).pick(("blob",))
    with open(path, "rb") as stream:
        counts, reason = profile.counts_of(stream.read())
    if reason:
        raise NcsError(f"{path}: {reason}")
    print("simulated: counts of one inference, padded channels included; no times")
    print(profile.stage_table(counts))
    if args.json:
        fields = [
            {"stage": count.number, "kind": count.kind, "macs": count.macs, "bytes_read": count.bytes_read(),
             "bytes_written": count.bytes_written(), "ddr_bytes": count.memory_bytes}
            for count in counts
        ]  # fmt: skip
        write_bytes(args.json, json.dumps({"device": "simulated", "stages": fields}, indent=1) + "\n")
    return 0


def select_device(name: str) -> str:
    """Return the requested device, else a stick if one is plugged in, else ESTIMATE."""
    from ncs.cli import check
    from ncs.errors import NcsError

    device = check.select_device(name)
    family = device.split(".")[0]
    if family not in ("FP16", "SIMULATOR", "ESTIMATE", "CPU", "GPU", "NPU", "MYRIAD"):
        raise NcsError(f"-d {name}: only CPU, GPU, NPU and MYRIAD report layer times; use ESTIMATE without a stick")
    return "ESTIMATE" if family in ("FP16", "SIMULATOR") else device


def run_estimate(args: argparse.Namespace, net: Net, path: str) -> tuple[list[Row], str]:
    """Return (rows, note) estimated from the blob compiled from the ONNX file at `path`."""
    from caffe.convert.onnx_export import layer_names
    from ncs.profile import profile

    content, blob, stages = profile.compile_and_read(path, args.platform, args.shaves)
    chip = profile.CHIPS[args.platform]
    counts, reason = profile.counts_of(content)
    rows = profile.estimate(net, blob, stages, chip, layer_names(path, "tensor"), counts)
    counted = (
        f"the simulator did not count it ({reason})" if reason else "operations and bytes counted by the simulator"
    )
    engines = f"convolution engines at {chip.hw / 1e9:.0f} GFLOP/s, " if chip.hw else ""
    return rows, (
        f"ESTIMATE for {args.platform}, not a measurement: a lower bound from the {len(blob.stages)} stages of the "
        f"blob ({counted}) with {engines}each SHAVE core at {chip.shave / 1e9:.1f} GFLOP/s, memory at "
        f"{chip.memory / 1e9:.1f} GB/s and stages that run one after another. A real stick takes longer."
    )


def measure(args: argparse.Namespace, net: Net, path: str, device: str) -> tuple[list[Row], str]:
    """Return (rows, note) measured on the device: the median time of each node over the runs."""
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
    times: dict = {}
    types = {}
    with open_runner(device, source, counters=True) as runner:
        runner.run(batch)
        for _ in range(max(1, args.runs)):
            for name, node_type, milliseconds in runner.profile(batch):
                times.setdefault(name, []).append(milliseconds)
                types[name] = node_type
    counters = [(name, types[name], statistics.median(values)) for name, values in times.items()]
    item_size = 2 if device.startswith("MYRIAD") else 4
    node_layers = layer_names(path, "tensor" if device.startswith("MYRIAD") else "node")
    rows = profile.measured(net, counters, node_layers, item_size)
    runs = max(1, args.runs)
    return rows, f"Measured on {device}: median of {runs} runs; layers without a time are fused into another layer"
