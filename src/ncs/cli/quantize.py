"""Make INT8 of a compiled net, for CPU and NPU, calibrated with its LMDB; tell the accuracy that it cost.

Writes NAME_int8.xml, .bin and the manifest NAME_int8.json, which runs as any other (`ncs bench -m`, run_inference.py --net).
Needs NNCF: pip install 'caffe2ncs[int8]'. A Neural Compute Stick computes in FP16; this is not for it.
"""

from __future__ import annotations


def add_arguments(parser):
    from ncs.cli import _net

    parser.add_argument("manifest", help="graph/NAME.json, from `ncs compile` or ./compile2Movidius.sh")
    parser.add_argument(
        "--lmdb", required=True, metavar="FOLDER", help="what was trained with; its first records calibrate"
    )
    parser.add_argument(
        "--count", type=_net.positive, default=300, metavar="N", help="records that calibrate (default 300)"
    )
    parser.add_argument(
        "--test",
        default="",
        metavar="FOLDER",
        help="LMDB to judge by (default: the records of --lmdb behind those that calibrate)",
    )
    parser.add_argument("-o", dest="output", metavar="STEM", help="result (default: NAME_int8 beside the manifest)")
    parser.add_argument(
        "-d",
        "--device",
        choices=("CPU", "NPU"),
        default="CPU",
        help="what it is for (default CPU); accuracy is measured on the CPU",
    )
    parser.add_argument(
        "--preset",
        choices=("mixed", "performance"),
        default="mixed",
        help="NNCF's: mixed is more exact, performance quicker (default mixed)",
    )
    parser.add_argument(
        "--max-accuracy-drop",
        type=float,
        metavar="POINTS",
        help="write nothing where accuracy falls by more (percent points)",
    )


def run(args):
    import os

    from ncs.precision import quantize
    from ncs.runtime.manifest import Manifest

    stem = args.output or os.path.splitext(args.manifest)[0] + "_int8"
    stem = os.path.splitext(stem)[0] if stem.endswith((".xml", ".json")) else stem
    manifest = Manifest.read(args.manifest)
    most = None if args.max_accuracy_drop is None else args.max_accuracy_drop / 100
    options = quantize.Options(args.lmdb, args.count, args.test, args.device, args.preset, most)
    result, survey = quantize.make(manifest, stem, options)
    print(
        "%d pictures of %s: %s; %d flip" % (survey.count, args.test or args.lmdb, accuracy(survey), len(survey.flips))
    )
    print("wrote {}.{{xml,bin,json}}: {:.1f} MB".format(stem, os.path.getsize(result.path("bin")) / 1e6))
    return 0


def accuracy(survey):
    """What INT8 cost, in words."""
    if survey.expected_accuracy is None:
        return "their labels are not this net's classes"
    before, after = 100 * survey.expected_accuracy, 100 * survey.result_accuracy
    return f"accuracy {before:.2f} % in float32, {after:.2f} % in INT8 ({after - before:+.2f} points)"
