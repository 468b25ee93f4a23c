"""Evaluate nets on any collection of faces, by decade and sex, with 95 % intervals.

--collection DIR: faces named as UTKFace names them, by --pattern '{age}_{gender}_{*}.jpg', in a CSV table (--labels) or
in a folder per class (male, 20-29, 25). With --detect the images are photographs; the largest face of each counts.
Exit status as run_inference.py's.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agegender.datasets.collection import Collection


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from agegender.cli import predict

    parser.add_argument("--collection", metavar="DIR", required=True, help="a directory of faces")
    names = parser.add_mutually_exclusive_group()
    names.add_argument("--pattern", metavar="P", default="", help="how files are named: '{age}_{gender}_{*}.jpg'")
    names.add_argument("--labels", metavar="FILE", default="", help="CSV table: file, age, gender, group")
    parser.add_argument("--sample", type=int, metavar="N", help="only N faces, drawn with --seed")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (default: 1)")
    parser.add_argument(
        "--exclude-near-duplicates-of",
        metavar="DIR",
        help="leave out photographs that DIR, the training faces, has too",
    )
    parser.add_argument("--batch", type=int, default=16, help="images per batch (default: 16)")
    parser.add_argument("--json", metavar="FILE", help="write all metrics as JSON as well")
    parser.add_argument("--out", metavar="FILE", help="write the tables (Markdown) as well")
    predict.add_net_arguments(parser)
    photographs = parser.add_argument_group("photographs")
    photographs.add_argument("--detect", action="store_true", help="detect the faces: the images are photographs")
    predict.add_face_arguments(photographs)


def run(args: argparse.Namespace) -> None:
    from agegender.evaluate import collection
    from agegender.inference.image_files import refuse_input
    from caffe.utils import atomic_io

    for output in filter(None, (args.json, args.out)):
        refuse_input(output, [args.labels or ""])
    found = _samples(args)
    results = {name: _evaluate(args, models, found) for name, models in _members(args).items()}
    text = collection.overview(results) + "\n"
    for name, result in results.items():
        text += f"\n{name}:\n\n{collection.by_group(result)}\n"
        if result["without_face"]:
            text += f"\n{result['without_face']} of {result['faces']} images show no face and do not count.\n"
        if result["warnings"]:
            text += f"\n{result['warnings']} images are not framed as in training; --detect aligns them.\n"
    print(text, end="")
    if args.json:
        atomic_io.write_bytes(args.json, json.dumps(results, indent=1) + "\n")
    if args.out:
        atomic_io.write_bytes(args.out, text)


def _samples(args: argparse.Namespace) -> Collection:
    """Return the labelled faces that the options choose; what is left out is reported."""
    from agegender.datasets import collection, copies
    from agegender.evaluate import evaluate

    found = collection.read(args.collection, args.pattern, args.labels)
    for reason in found.skipped[:10]:
        print("skipped: " + reason, file=sys.stderr)
    if len(found.skipped) > 10:
        print(f"skipped: {len(found.skipped) - 10} more files", file=sys.stderr)
    samples = evaluate.random_sample(found.samples, args.sample, args.seed)
    if args.exclude_near_duplicates_of:
        others = collection.unlabelled(args.exclude_near_duplicates_of)
        excluded = copies.copies_among(samples, others)
        samples = [sample for sample in samples if sample.path not in excluded]
        print(f"{len(excluded)} near-duplicates of {args.exclude_near_duplicates_of} are left out", file=sys.stderr)
    return found._replace(samples=samples)


def _members(args: argparse.Namespace) -> dict[str, list[str]]:
    """Return {title: models to open together}: each --model alone, or all as an ensemble."""
    models = args.model or []
    if args.ensemble or len(models) < 2:
        return {" and ".join(models) or " and ".join(args.net or ["AgeNet", "GenderNet"]): models}
    return {model: [model] for model in models}


def _evaluate(args: argparse.Namespace, models: list[str], found: Collection) -> dict[str, Any]:
    from agegender.cli.predict import make_detector, open_nets
    from agegender.evaluate import collection
    from agegender.inference import predict
    from agegender.inference.faces import framing
    from caffe.utils.cli.progress import Progress

    args = argparse.Namespace(**{**vars(args), "model": models})
    batch = 4 if args.detect else max(1, args.batch)
    nets = open_nets(args, 1 if args.detect else min(batch, len(found.samples)))
    find = make_detector(args).find if args.detect else None
    check = None if args.detect else framing.default_check()
    with (
        predict.FacePredictor(nets, find, args.crop, batch, check) as predictor,
        Progress("Evaluating", len(found.samples), "faces") as bar,
    ):
        return collection.evaluate(predictor, found.samples, found.years, bar.step)
