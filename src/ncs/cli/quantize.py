"""Quantize a compiled net to INT8 for CPU and NPU, calibrate it with an LMDB, and report the change in accuracy.

Writes NAME_int8.xml, .bin and the manifest NAME_int8.json, which runs like any other (`ncs bench -m`, run_inference.py
--net). Needs NNCF: pip install 'caffe2ncs[int8]'. Neural Compute Sticks compute in FP16 and do not support INT8.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ncs.precision.compare import DatasetComparison


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    from ncs.cli import _net

    parser.add_argument("manifest", help="graph/NAME.json, from `ncs compile` or ./compile2Movidius.sh")
    parser.add_argument(
        "--lmdb", required=True, metavar="FOLDER", help="training database; its first records are used for calibration"
    )
    parser.add_argument(
        "--count", type=_net.positive_int, default=300, metavar="N", help="records for calibration (default 300)"
    )
    parser.add_argument(
        "--test",
        default="",
        metavar="FOLDER",
        help="LMDB for evaluation (default: the records of --lmdb that are not used for calibration)",
    )
    parser.add_argument(
        "-o", dest="output", metavar="STEM", help="output stem (default: NAME_int8 next to the manifest)"
    )
    parser.add_argument(
        "-d",
        "--device",
        choices=("CPU", "NPU"),
        default="CPU",
        help="target device (default CPU); accuracy is measured on the CPU",
    )
    parser.add_argument(
        "--preset",
        choices=("mixed", "performance"),
        default="mixed",
        help="NNCF preset: mixed is more accurate, performance is faster (default mixed)",
    )
    parser.add_argument(
        "--max-accuracy-drop",
        type=float,
        metavar="POINTS",
        help="write nothing if accuracy drops by more than this (percentage points)",
    )


def run(args: argparse.Namespace) -> int:
    """Run the command and return the exit status."""
    import os

    from ncs.precision import quantize
    from ncs.runtime.manifest import Manifest

    stem = args.output or os.path.splitext(args.manifest)[0] + "_int8"
    stem = os.path.splitext(stem)[0] if stem.endswith((".xml", ".json")) else stem
    manifest = Manifest.read(args.manifest)
    max_drop = None if args.max_accuracy_drop is None else args.max_accuracy_drop / 100
    options = quantize.Options(args.lmdb, args.count, args.test, args.device, args.preset, max_drop)
    result, comparison = quantize.quantize(manifest, stem, options)
    evaluated = args.test or args.lmdb
    print(f"{comparison.count} images of {evaluated}: {accuracy(comparison)}; {len(comparison.flips)} change class")
    print("wrote {}.{{xml,bin,json}}: {:.1f} MB".format(stem, os.path.getsize(result.path("bin")) / 1e6))
    return 0


def accuracy(comparison: DatasetComparison) -> str:
    """Return the accuracy before and after quantization as text."""
    if comparison.expected_accuracy is None or comparison.result_accuracy is None:
        return "the labels are not this net's classes"
    before, after = 100 * comparison.expected_accuracy, 100 * comparison.result_accuracy
    return f"accuracy {before:.2f} % in float32, {after:.2f} % in INT8 ({after - before:+.2f} points)"
