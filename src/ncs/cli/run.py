"""Run a compiled blob without a stick: the simulator executes its stages from the blob's own bytes.

Every line contains `simulated`: no chip computed it. The exit status is 1 if a stage read memory that no stage wrote,
or if concurrent stages access the same bytes.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from ncs.runtime.manifest import Manifest
    from ncs.simulator import Simulator


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    from ncs.cli import _images, _net

    parser.add_argument("blob", help="a .blob file, or the manifest (.json) of a compiled net")
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="images or .npy files (default: seeded noise)")
    _images.add_arguments(parser)
    parser.add_argument(
        "--top", type=_net.positive_int, default=5, metavar="N", help="number of values to print (default 5)"
    )
    parser.add_argument(
        "--half", action="store_true", help="accumulate in FP16 instead of float32: a bound for the chip's rounding"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per image")


def run(args: argparse.Namespace) -> int:
    """Run the command and return the exit status."""
    from ncs.cli import _images

    simulator, manifest = _images.open_simulator(args)
    ok = not simulator.faults
    for image in args.images or [None]:
        outputs = simulator.run(_images.load_inputs(args, simulator, manifest, image))
        print_outputs(args, image or "noise", simulator, outputs, manifest)
        ok = ok and not any(not read.harmless for read in simulator.report.unwritten)
    return 0 if ok else 1


def print_outputs(
    args: argparse.Namespace,
    image: str,
    simulator: Simulator,
    outputs: dict[str, np.ndarray],
    manifest: Manifest | None,
) -> None:
    """Print the largest values of every output and the findings of the run."""
    import json

    import numpy as np

    from ncs.simulator import SIMULATED

    all_labels = {head.output: head.labels for head in manifest.all_heads()} if manifest else {}
    if args.json:
        facts = {name: values.reshape(-1).tolist() for name, values in outputs.items()}
        print(json.dumps({"image": image, "device": SIMULATED, "outputs": facts, "findings": simulator.findings()}))
        return
    for name, values in outputs.items():
        values, labels = values.reshape(-1), all_labels.get(name, [])
        order = np.argsort(-values, kind="stable")[: args.top]
        text = ", ".join(f"{labels[i] if i < len(labels) else i} {values[i]:.4g}" for i in order)
        print(f"{image}: {name}: {text} ({SIMULATED}, {sum(simulator.seconds):.2f} s)")
    for line in simulator.findings():
        print(f"{SIMULATED}: {line}")
