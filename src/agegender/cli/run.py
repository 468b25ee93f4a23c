"""Run the whole pipeline: faces, lists, LMDBs, mean, training, evaluation, compilation, predictions.

Without --archive the faces are synthetic, so nothing is downloaded. A second run repeats only what is stale; an
interrupted run resumes.
"""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--archive", metavar="FILE", help="a UTKFace archive (.tar.gz) instead of synthetic faces")
    parser.add_argument("--race", default="asian", help="faces of the archive to use: asian (default), all, or a list")
    parser.add_argument(
        "--iterations", type=int, metavar="N", help="training iterations per net (default: the quick solver's)"
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "bf16"),
        default="bf16",
        help="of matrix products in training (default: bf16 if the processor has it in hardware, else float32)",
    )
    parser.add_argument("--count", type=int, default=900, metavar="N", help="number of synthetic faces (default: 900)")
    parser.add_argument("--seed", type=int, default=230, help="of the faces, the split and the training (default: 230)")
    parser.add_argument("--force", action="store_true", help="run every stage, also those that are up to date")


def run(args: argparse.Namespace) -> int:
    from agegender.quickstart import Quickstart

    return Quickstart(args).run()
