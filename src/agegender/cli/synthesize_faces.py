"""Synthesize faces by a seeded program, named as UTKFace names its images: everything runs without a download."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", metavar="DIR", default="data/synthetic_faces", help="output directory (data/synthetic_faces)"
    )
    parser.add_argument("--count", type=int, default=900, help="number of files (900)")
    parser.add_argument("--seed", type=int, default=1, help="equal seeds give equal bytes (1)")
    parser.add_argument("--jobs", type=int, help="processes (all cores); the output does not depend on it")
    parser.add_argument(
        "--contact-sheet", metavar="FILE", help="also write a contact sheet with one column per age class"
    )


def run(args: argparse.Namespace) -> None:
    import sys

    from agegender.synthetic_faces import collection

    faces = collection.make(args.out, args.count, args.seed, args.jobs)
    if args.contact_sheet:
        from agegender.synthetic_faces.contact_sheet import write_sheet

        write_sheet(args.contact_sheet, args.out)
    print(f"{len(faces)} faces in {args.out}")
    print(f"Next: ./build_dataset.py --faces {args.out}", file=sys.stderr)
