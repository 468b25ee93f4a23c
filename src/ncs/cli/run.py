"""Run a compiled blob without a stick: the simulator executes its stages from the blob's own bytes.

Every line says `simulated`: no chip computed it. The exit status is 1 when a stage read memory that no stage wrote, or
when stages that run at the same time use the same bytes.
"""

from __future__ import annotations


def add_arguments(parser):
    from ncs.cli import _images, _net

    parser.add_argument("blob", help="a .blob file, or the manifest (.json) of a compiled net")
    parser.add_argument("images", nargs="*", metavar="IMAGE", help="images or .npy files (default: seeded noise)")
    _images.add_arguments(parser)
    parser.add_argument("--top", type=_net.positive_int, default=5, metavar="N", help="values printed (default 5)")
    parser.add_argument("--half", action="store_true", help="sum in FP16, not float32: a bound for the chip's rounding")
    parser.add_argument("--json", action="store_true", help="print one JSON object an image")


def run(args):
    from ncs.cli import _images

    simulator, manifest = _images.opened(args)
    good = not simulator.faults
    for image in args.images or [None]:
        outputs = simulator.run(_images.inputs(args, simulator, manifest, image))
        print_outputs(args, image or "noise", simulator, outputs, manifest)
        good = good and not any(not read.harmless for read in simulator.report.unwritten)
    return 0 if good else 1


def print_outputs(args, image, simulator, outputs, manifest):
    """The greatest values of every output, and what the run found."""
    import json

    import numpy as np

    from ncs.simulator import SIMULATED

    labels = manifest.labels if manifest else []
    if args.json:
        facts = {name: values.reshape(-1).tolist() for name, values in outputs.items()}
        print(json.dumps({"image": image, "device": SIMULATED, "outputs": facts, "findings": simulator.findings()}))
        return
    for name, values in outputs.items():
        values = values.reshape(-1)
        order = np.argsort(-values, kind="stable")[: args.top]
        text = ", ".join(f"{labels[i] if i < len(labels) else i} {values[i]:.4g}" for i in order)
        print(f"{image}: {name}: {text} ({SIMULATED}, {sum(simulator.seconds):.2f} s)")
    for line in simulator.findings():
        print(f"{SIMULATED}: {line}")
