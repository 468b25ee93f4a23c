"""Train AgeNet or GenderNet with its solver file (every flag of `caffe train` works), or any net by a recipe.

agegender train AgeNet [--quick] [flags of caffe train]: on the LMDBs of data/lmdb. agegender train --recipe NAME
[--minutes M]: from a directory of faces to an evaluated net in models/NAME/seedN: split, LMDBs, prototxt, training,
report. An interrupted run resumes with the same command. --list shows the recipes.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from agegender.workspace import NET_NAMES

if TYPE_CHECKING:
    from agegender.training.run import Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from caffe.tools import train

    parser.add_argument("net", nargs="?", choices=NET_NAMES, help="which net")
    parser.add_argument(
        "--quick", action="store_true", help="the solver that takes minutes (prototxt/quick) instead of the original's"
    )
    recipes = parser.add_argument_group("recipes")
    recipes.add_argument("--recipe", metavar="NAME", help="train by a recipe, from faces to report")
    recipes.add_argument("--list", action="store_true", help="list the recipes")
    add_run_arguments(recipes)
    recipes.add_argument("--minutes", type=float, metavar="M", help="length of the training (default: the recipe's)")
    recipes.add_argument("--seed", type=int, default=230, help="of the split and the training (default: 230)")
    recipes.add_argument("--out", metavar="DIR", help="directory of the run (default: models/NAME/seedN)")
    train.add_arguments(parser)
    for action in parser._actions:
        if action.dest == "solver":
            action.required, action.help = False, "another solver prototxt than the net's own"
        if action.dest == "iterations":
            action.help = "train to this iteration instead of the solver's max_iter"


def add_run_arguments(parser: Any) -> None:
    """Add the options that runs of recipes share: the faces and the evaluation."""
    parser.add_argument(
        "--faces", metavar="DIR", help="directory of faces named as UTKFace's (default: data/UTKFace_AsianOnly)"
    )
    parser.add_argument(
        "--race", help="asian, white, black, indian, others, all, or a list (default: the recipe's, mostly asian)"
    )
    parser.add_argument(
        "--leave-out",
        metavar="GROUPS",
        help="train on the other groups (of all, unless --race), and evaluate on these",
    )
    parser.add_argument(
        "--validation", action="store_true", help="hold out a fifth of the training part: for choosing recipes"
    )
    parser.add_argument("--int8", action="store_true", help="evaluate in INT8 as well (needs the extra `int8`)")


def make_run(args: argparse.Namespace, name: str, seed: int, iterations: int | None = None, **options: Any) -> Run:
    """Return the Run of a recipe under the command line's options; `iterations` takes precedence over them."""
    from agegender import recipes
    from agegender.datasets import utkface
    from agegender.training.run import Run

    recipe = recipes.resolve(name)
    races = utkface.parse_races(args.race or ("all" if args.leave_out else recipe.races))
    return Run(
        recipe,
        args.faces or os.path.join("data", utkface.folder_name(races)),
        races,
        seed,
        minutes=args.minutes,
        iterations=iterations or args.iterations or None,
        validation=args.validation,
        precision=args.precision,
        threads=args.threads,
        int8=args.int8,
        leave_out=utkface.parse_races(args.leave_out) if args.leave_out else (),
        workers=getattr(args, "workers", 1),
        batch=getattr(args, "batch", "each"),
        gradient_checkpointing=getattr(args, "gradient_checkpointing", False),
        **options,
    )


def run(args: argparse.Namespace) -> int | None:
    from agegender.errors import AgeGenderError

    if args.list:
        _list()
        return None
    if bool(args.net) == bool(args.recipe):
        raise AgeGenderError(f"expected a net ({', '.join(NET_NAMES)}) or --recipe NAME; --list shows the recipes")
    if args.net:
        return _train_net(args)
    _train_recipe(args)
    return None


def _train_net(args: argparse.Namespace) -> int:
    from agegender import workspace
    from caffe.tools import train

    args.solver = args.solver or workspace.solver_file(args.net, args.quick)
    args.max_iter = args.max_iter or args.iterations
    status = train.run(args)
    if not status:
        print(f"Next: ./test_{args.net}.sh")
    return status


def _list() -> None:
    from agegender.recipes import recipes

    width = max(map(len, recipes()))
    for recipe in recipes().values():
        print(f"{recipe.name:<{width}} {recipe.minutes:3.0f} minutes  {recipe.title}")


def _train_recipe(args: argparse.Namespace) -> None:
    from agegender.errors import AgeGenderError
    from agegender.evaluate.summary import lines
    from caffe.core import local_processes

    if local_processes.rank_and_size()[1] > 1:
        raise AgeGenderError(
            "a recipe starts its own processes: use --workers N, or run torchrun -m caffe train in the run's directory"
        )
    run = make_run(args, args.recipe, args.seed, weights=args.weights, folder=args.out)
    print("\n".join(lines(run.run())))
    folder = os.path.relpath(run.folder)
    print(f"Report, weights and curves are in {folder}")
    print(f"Next: ncs compile --model {run.recipe.net} -w {os.path.join(folder, run.weights)}")
