"""Adience's five folds: make and check lists, and run the whole cross-validation of Levi and Hassner.

`crossval` packs, averages, trains and evaluates both nets on every fold and prints the table next to the paper's. An
interrupted run resumes where it stopped; finished stages are skipped. The images come from Adience
(talhassner.github.io).
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agegender.crossval.plan import Plan
    from agegender.crossval.run import CrossValidation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    lists = _add_common(
        actions.add_parser("lists", help="write train, val and test lists of every fold; report repeats and leaks")
    )
    lists.add_argument(
        "--out", metavar="DIR", default=os.path.join("data", "adience", "lists"), help="(data/adience/lists)"
    )
    check = _add_common(actions.add_parser("check", help="compare existing lists with the fold files, label by label"))
    check.add_argument("lists", metavar="DIR", help="a directory of lists, or of test_fold_is_K directories")
    check.add_argument(
        "--test_fold", type=int, metavar="K", help="test fold of a directory of lists (default: from its name)"
    )
    crossval = _add_common(actions.add_parser("crossval", help="run everything and print the paper's table"))
    _add_training(crossval)
    _add_training(
        _add_common(actions.add_parser("table", help="print the table of finished folds; takes crossval's options"))
    )


def _add_common(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    from agegender.datasets import adience

    add = parser.add_argument
    add("--folds", metavar="DIR", required=True, help="directory of fold_0_data.txt ... fold_4_data.txt")
    add(
        "--policy",
        choices=tuple(adience.POLICIES),
        default="published",
        help="how labels map to classes: " + "; ".join(f"{name}: {text}" for name, text in adience.POLICIES.items()),
    )
    add(
        "--archive",
        choices=("aligned", "faces"),
        default="aligned",
        help="file names of aligned.tar.gz or faces.tar.gz (aligned)",
    )
    add("--seed", type=int, default=230, help="seed of the shuffles (230)")
    add(
        "--compat",
        action="store_true",
        help="as the published script: repeated rows stay, any tenth of the rows validates, the row after it is lost",
    )
    return parser


def _add_training(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--images", metavar="DIR", required=True, help="the unpacked archive: one directory per Flickr user")
    add(
        "--lists",
        metavar="DIR",
        help="use the lists of DIR/test_fold_is_K (such as the published ones) instead of making them",
    )
    add("--task", choices=("age", "gender"), action="append", help="only this task (default: both)")
    add(
        "--test_fold",
        type=int,
        action="append",
        metavar="K",
        help="only this test fold; may be repeated (default: all five)",
    )
    add(
        "--iterations",
        type=int,
        default=0,
        metavar="N",
        help="iterations of each training (default: the solver's max_iter, 50000)",
    )
    add(
        "--prototxt",
        metavar="DIR",
        default=os.path.join("prototxt", "levi"),
        help="directory of {AgeNet,GenderNet}_{train_val,solver}.prototxt (prototxt/levi); their paths are replaced",
    )
    add("--precision", choices=("float32", "bf16"), default="float32", help="(float32)")
    add("--threads", type=int, default=0, help="CPU threads (default: all)")
    add("--gpu", default="", help="CUDA device id")
    add(
        "--data",
        metavar="DIR",
        default=os.path.join("data", "adience"),
        help="directory of lists, LMDBs and means (data/adience)",
    )
    add(
        "--models",
        metavar="DIR",
        default=os.path.join("models", "adience"),
        help="directory of snapshots and results (models/adience)",
    )
    add("--allow_broken", action="store_true", help="continue without images that cannot be read")
    add("--tidy", action="store_true", help="remove a fold's LMDBs (7 GB) after its evaluation")


def run(args: argparse.Namespace) -> int | None:
    return {"lists": _lists, "check": _check, "crossval": _crossval, "table": _table}[args.action](args)


def _prefix(args: argparse.Namespace) -> str:
    from agegender.datasets import adience

    return adience.ALIGNED if args.archive == "aligned" else adience.TILTED


def _lists(args: argparse.Namespace) -> None:
    from agegender.datasets import adience, adience_lists

    rows = adience.read_folds(args.folds)
    print("\n".join(adience_lists.remarks(rows)))
    lists_of = adience_lists.write(args.out, rows, args.policy, args.seed, args.compat, _prefix(args))
    print("\n".join(adience_lists.sizes(lists_of)))
    print(f"{args.out}: lists of {len(lists_of)} folds, label policy '{args.policy}'")


def _check(args: argparse.Namespace) -> int:
    from agegender.datasets import adience, adience_lists

    rows, errors = adience.read_folds(args.folds), 0
    for folder, fold in _folders(args):
        messages, count = adience_lists.check(folder, rows, fold, args.policy, _prefix(args))
        print("\n".join([f"{folder}, test fold {fold}", *(f"  {text}" for text in messages)]))
        errors += count
    print(f"{errors} errors" if errors else "no errors")
    return 1 if errors else 0


def _folders(args: argparse.Namespace) -> list[tuple[str, int]]:
    """Return [(directory of lists, test fold)]."""
    import re

    from agegender.datasets import adience, adience_lists
    from agegender.errors import AgeGenderError

    folders = [(adience_lists.folder_of(args.lists, fold), fold) for fold in range(adience.FOLDS)]
    folders = [(folder, fold) for folder, fold in folders if os.path.isdir(folder)]
    if folders:
        return folders
    if args.test_fold is not None:
        return [(args.lists, args.test_fold)]
    match = re.search(r"fold_(?:is_)?([0-4])$", args.lists.rstrip("/"))
    if match is None:
        raise AgeGenderError(f"{args.lists}: the name contains no test fold; add --test_fold K")
    return [(args.lists, int(match[1]))]


def plan_of(args: argparse.Namespace) -> Plan:
    """Return the Plan that the options describe."""
    from agegender.crossval.plan import Plan
    from agegender.datasets import adience
    from agegender.errors import AgeGenderError

    chosen = tuple(sorted(set(args.test_fold or range(adience.FOLDS))))
    invalid = [fold for fold in chosen if not 0 <= fold < adience.FOLDS]
    if invalid:
        raise AgeGenderError(f"--test_fold: expected 0..{adience.FOLDS - 1}, received {invalid[0]}")
    if args.iterations < 0:
        raise AgeGenderError(f"--iterations must be positive, received {args.iterations}")
    if not os.path.isdir(args.images):
        raise AgeGenderError(f"--images {args.images}: no such directory; unpack Adience's {args.archive}.tar.gz there")
    return Plan(
        fold_files=args.folds,
        images=args.images,
        tasks=tuple(task for task in ("age", "gender") if not args.task or task in args.task),
        chosen=chosen,
        policy=args.policy,
        seed=args.seed,
        compat=args.compat,
        prefix=_prefix(args),
        lists=args.lists or "",
        definitions=args.prototxt,
        iterations=args.iterations,
        precision=args.precision,
        threads=args.threads,
        gpu=args.gpu,
        allow_broken=args.allow_broken,
        tidy=args.tidy,
        data=args.data,
        models=args.models,
    )


def _crossval(args: argparse.Namespace) -> None:
    from agegender.crossval.run import CrossValidation
    from agegender.datasets import adience_lists

    run = CrossValidation(plan_of(args), say=lambda line: print(line, flush=True))
    print("\n".join([*adience_lists.remarks(run.rows), *adience_lists.sizes(run.lists)]), flush=True)
    show(run, run.run())


def _table(args: argparse.Namespace) -> None:
    from agegender.crossval.run import CrossValidation

    run = CrossValidation(plan_of(args))
    show(run, run.results())


def show(run: CrossValidation, results: dict) -> None:
    """Print a table per task and the summed confusion matrix of the ten crops, and write both to files."""
    import json

    from agegender.datasets.adience_lists import TASKS
    from agegender.errors import AgeGenderError
    from agegender.evaluate import confusion, folds
    from caffe.utils.atomic_io import write_bytes

    evaluated = {task: by_fold for task, by_fold in results.items() if by_fold}
    if not evaluated:
        raise AgeGenderError(f"{run.plan.models}: no fold has been evaluated with these options")
    parts = []
    for task, by_fold in evaluated.items():
        parts.append("\n".join(folds.table(task, by_fold)) + "\n")
        matrix = confusion.format_matrix(folds.summed(by_fold, "oversample"), TASKS[task].names)
        parts.append(f"All folds, ten crops. {matrix}")
    text = "\n".join(parts)
    print("\n" + text, end="")
    write_bytes(os.path.join(run.plan.models, "table.txt"), text)
    write_bytes(os.path.join(run.plan.models, "results.json"), json.dumps(evaluated, indent=1) + "\n")
