"""Adience's five folds: lists, their check, and the whole cross-validation of Levi and Hassner by one command.

`crossval` packs, averages, trains and judges both nets on every fold and prints the table beside the paper's. A run that was
cut off goes on where it stopped; what stands is not done again. The pictures come from Adience (talhassner.github.io).
"""

from __future__ import annotations

import os


def add_arguments(parser):
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    lists = _common(
        actions.add_parser("lists", help="write train, val and test lists of every fold; tell repeats and leaks")
    )
    lists.add_argument(
        "--out", metavar="DIR", default=os.path.join("data", "adience", "lists"), help="(data/adience/lists)"
    )
    check = _common(actions.add_parser("check", help="hold existing lists against the fold files, label for label"))
    check.add_argument("lists", metavar="DIR", help="a folder of lists, or of test_fold_is_K folders")
    check.add_argument(
        "--test_fold", type=int, metavar="K", help="which fold the lists of one folder test (from its name)"
    )
    crossval = _common(actions.add_parser("crossval", help="everything, and the table of the paper"))
    _training(crossval)
    _training(_common(actions.add_parser("table", help="the table of what crossval has measured so far, same options")))


def _common(parser):
    from agegender.datasets import adience

    add = parser.add_argument
    add("--folds", metavar="DIR", required=True, help="folder of fold_0_data.txt ... fold_4_data.txt")
    add(
        "--policy",
        choices=tuple(adience.POLICIES),
        default="published",
        help="what labels count as: " + "; ".join("{}: {}".format(*item) for item in adience.POLICIES.items()),
    )
    add(
        "--archive",
        choices=("aligned", "faces"),
        default="aligned",
        help="names of aligned.tar.gz or faces.tar.gz (aligned)",
    )
    add("--seed", type=int, default=230, help="of the shuffles (230)")
    add(
        "--compat",
        action="store_true",
        help="as the published script: repeated rows stay, any tenth of the rows validates, the row after it is lost",
    )
    return parser


def _training(parser):
    add = parser.add_argument
    add("--images", metavar="DIR", required=True, help="the unpacked archive: folders of Flickr users")
    add(
        "--lists",
        metavar="DIR",
        help="take the lists of DIR/test_fold_is_K (the published ones, say) instead of making them",
    )
    add("--task", choices=("age", "gender"), action="append", help="only this one (default: both)")
    add(
        "--test_fold", type=int, action="append", metavar="K", help="only this one; may be repeated (default: all five)"
    )
    add(
        "--iterations",
        type=int,
        default=0,
        metavar="N",
        help="of each training (default: the solver's max_iter, 50000)",
    )
    add(
        "--prototxt",
        metavar="DIR",
        default=os.path.join("prototxt", "levi"),
        help="holds {AgeNet,GenderNet}_{train_val,solver}.prototxt (prototxt/levi); their paths are replaced",
    )
    add("--precision", choices=("float32", "bf16"), default="float32", help="(float32)")
    add("--threads", type=int, default=0, help="CPU threads (default: all)")
    add("--gpu", default="", help="CUDA device id")
    add("--data", metavar="DIR", default=os.path.join("data", "adience"), help="lists, databases, means (data/adience)")
    add(
        "--models", metavar="DIR", default=os.path.join("models", "adience"), help="snapshots, results (models/adience)"
    )
    add("--allow_broken", action="store_true", help="go on without pictures that cannot be read")
    add("--tidy", action="store_true", help="remove a fold's databases (7 GB) once it is judged")


def run(args):
    return {"lists": _lists, "check": _check, "crossval": _crossval, "table": _table}[args.action](args)


def _prefix(args):
    from agegender.datasets import adience

    return adience.ALIGNED if args.archive == "aligned" else adience.TILTED


def _lists(args):
    from agegender.datasets import adience, adience_lists

    rows = adience.read_folds(args.folds)
    print("\n".join(adience_lists.remarks(rows)))
    made = adience_lists.write(args.out, rows, args.policy, args.seed, args.compat, _prefix(args))
    print("\n".join(adience_lists.sizes(made)))
    print("%s: lists of %d folds, labels by the policy '%s'" % (args.out, len(made), args.policy))


def _check(args):
    from agegender.datasets import adience, adience_lists

    rows, faults = adience.read_folds(args.folds), 0
    for folder, fold in _folders(args):
        told, wrong = adience_lists.check(folder, rows, fold, args.policy, _prefix(args))
        print("\n".join(["%s, test fold %d" % (folder, fold), *("  " + text for text in told)]))
        faults += wrong
    print("no fault" if not faults else "%d faults" % faults)
    return 1 if faults else 0


def _folders(args):
    """[(folder, test fold)] below the given one."""
    import re

    from agegender.datasets import adience, adience_lists
    from agegender.errors import AgeGenderError

    below = [(adience_lists.folder_of(args.lists, fold), fold) for fold in range(adience.FOLDS)]
    below = [(folder, fold) for folder, fold in below if os.path.isdir(folder)]
    if below:
        return below
    named = re.search(r"fold_(?:is_)?([0-4])$", args.lists.rstrip("/"))
    if args.test_fold is None and named is None:
        raise AgeGenderError(f"{args.lists}: which fold do these lists test? --test_fold K")
    return [(args.lists, int(named[1]) if args.test_fold is None else args.test_fold)]


def plan_of(args):
    """The Plan of the command line."""
    from agegender.crossval.plan import Plan
    from agegender.datasets import adience
    from agegender.errors import AgeGenderError

    chosen = tuple(sorted(set(args.test_fold or range(adience.FOLDS))))
    wrong = [fold for fold in chosen if not 0 <= fold < adience.FOLDS]
    if wrong:
        raise AgeGenderError("--test_fold %d; there are 0..%d" % (wrong[0], adience.FOLDS - 1))
    if args.iterations < 0:
        raise AgeGenderError("--iterations must be positive, received %d" % args.iterations)
    if not os.path.isdir(args.images):
        raise AgeGenderError(f"--images {args.images}: no such folder; unpack Adience's {args.archive}.tar.gz there")
    tasks = tuple(task for task in ("age", "gender") if not args.task or task in args.task)
    return Plan(
        args.folds, args.images, tasks, chosen, args.policy, args.seed, args.compat, _prefix(args), args.lists or "",
        args.prototxt, args.iterations, args.precision, args.threads, args.gpu, args.allow_broken, args.tidy, args.data,
        args.models,
    )  # fmt: skip


def _crossval(args):
    from agegender.crossval.run import CrossValidation
    from agegender.datasets import adience_lists

    run = CrossValidation(plan_of(args), say=lambda line: print(line, flush=True))
    print("\n".join([*adience_lists.remarks(run.rows), *adience_lists.sizes(run.lists)]), flush=True)
    show(run, run.run())


def _table(args):
    from agegender.crossval.run import CrossValidation

    run = CrossValidation(plan_of(args))
    show(run, run.results())


def show(run, results):
    """Print a table a task, the summed confusion matrix of the ten crops, and keep both as files."""
    import json

    from agegender.datasets.adience_lists import TASKS
    from agegender.errors import AgeGenderError
    from agegender.evaluate import confusion, folds
    from caffe.utils.atomic_io import write_bytes

    measured = {task: found for task, found in results.items() if found}
    if not measured:
        raise AgeGenderError(f"{run.plan.models}: no fold has been measured with these options")
    parts = []
    for task, found in measured.items():
        parts.append("\n".join(folds.table(task, found)) + "\n")
        parts.append(
            "All folds, ten crops. " + confusion.format_matrix(folds.summed(found, "oversample"), TASKS[task].names)
        )
    text = "\n".join(parts)
    print("\n" + text, end="")
    write_bytes(os.path.join(run.plan.models, "table.txt"), text)
    write_bytes(os.path.join(run.plan.models, "results.json"), json.dumps(measured, indent=1) + "\n")
